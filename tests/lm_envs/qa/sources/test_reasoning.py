import json
import pickle
import sys
from copy import deepcopy
from typing import Any

import pytest

pytest.importorskip("reasoning_gym")

from lm_envs import rewards
from lm_envs.errors import ConfigurationError, DataError, MissingDependencyError, UnknownNameError
from lm_envs.qa.sources import load_questions
from lm_envs.qa.sources.generator import NONSENSE, Generator


def verified(answer: str, score: Any) -> float:
    return rewards.get("verifier")(["p"], [answer], score=[score])[0]


def test_a_question() -> None:
    questions = load_questions("reasoning_gym:chain_sum", dataset_kwargs={"config": {"min_terms": 2, "max_terms": 2}})
    question = questions[0]
    assert len(questions) == 4096
    assert question.answers[0].lstrip("-").isdecimal()
    assert question.columns["generator"] == "chain_sum"
    assert verified(question.answers[0], question.columns["score"]) == 1
    assert verified("no idea", question.columns["score"]) == 0
    assert questions.is_right(question, f" {question.answers[0]} ")
    assert not questions.is_right(question, "")
    assert questions.default_reward == "verifier"


def test_a_question_is_always_the_same_and_follows_from_its_seed() -> None:
    questions = load_questions("reasoning_gym:spell_backward", "test")
    assert questions[5] == load_questions("reasoning_gym:spell_backward", "test")[5]
    assert questions[-1] == questions[511]
    assert questions[5] != questions[6]
    longer = load_questions("reasoning_gym:spell_backward", "test", dataset_kwargs={"size": 1000})
    assert longer[5].prompt == questions[5].prompt
    with pytest.raises(IndexError, match="no question 512 of 512"):
        questions[512]


def test_splits_have_different_questions() -> None:
    config = {"min_digits": 5, "max_digits": 5}
    parts = [load_questions("reasoning_gym:chain_sum", s, dataset_kwargs={"config": config}) for s in ("train", "test")]
    prompts = [{part[i].prompt for i in range(300)} for part in parts]
    assert len(prompts[0]) == len(prompts[1]) == 300
    assert not prompts[0] & prompts[1]


def test_config_sets_the_difficulty() -> None:
    for digits in (1, 6):
        kwargs = {"config": {"min_digits": digits, "max_digits": digits, "min_terms": 3, "max_terms": 3}}
        question = load_questions("reasoning_gym:chain_sum", dataset_kwargs=kwargs)[0]
        assert max(len(word) for word in question.prompt.split() if word.isdecimal()) == digits


@pytest.mark.parametrize(
    ("dataset", "kwargs"),
    [
        ({"reasoning_gym:chain_sum": 3, "spell_backward": 1}, {}),
        ("reasoning_gym", {"generators": {"chain_sum": 0.75, "spell_backward": 0.25}}),
    ],
)
def test_mixture(dataset: Any, kwargs: dict) -> None:
    questions = load_questions(dataset, dataset_kwargs=kwargs)
    names = [questions[i].columns["generator"] for i in range(400)]
    assert 0.68 < names.count("chain_sum") / 400 < 0.82
    assert names == [questions[i].columns["generator"] for i in range(400)]
    assert all(questions.is_right(question, question.answers[0]) for question in (questions[i] for i in range(20)))


def test_several_by_name_with_configs() -> None:
    config = {"chain_sum": {"min_terms": 2, "max_terms": 2}}
    questions = load_questions("reasoning_gym:chain_sum, leg_counting", dataset_kwargs={"config": config})
    assert {questions[i].columns["generator"] for i in range(30)} == {"chain_sum", "leg_counting"}


def test_template() -> None:
    kwargs = {"template": "Q: {question}\nA:"}
    assert load_questions("reasoning_gym:chain_sum", dataset_kwargs=kwargs)[0].prompt.startswith("Q: ")


@pytest.mark.parametrize("name", ["chain_sum", "arc_1d", "string_manipulation"])  # two cannot be pickled themselves
def test_pickle_and_deepcopy(name: str) -> None:
    questions = load_questions(f"reasoning_gym:{name}")
    question = questions[0]
    for copy in (pickle.loads(pickle.dumps((questions, question))), deepcopy((questions, question))):
        assert copy[0][3].prompt == questions[3].prompt
        assert copy[1].columns["score"](question.answers[0]) == 1


class TestScores:
    def test_no_pay_for_any_text(self) -> None:
        question = load_questions("reasoning_gym:fraction_simplification")[0]
        entry = question.columns["score"].entry
        assert question.columns["score"].generator.dataset.score_answer("banana", entry) > 0
        assert question.columns["score"]("banana") == 0

    def test_partial_credit_is_kept(self) -> None:
        question = load_questions("reasoning_gym:sentence_reordering")[0]
        words = question.answers[0].split()
        assert 0 < question.columns["score"](" ".join([words[1], words[0], *words[2:]])) < 1

    def test_a_scorer_that_takes_everything(self) -> None:
        question = load_questions("reasoning_gym:game_of_life_halting")[0]
        gold = question.answers[0]
        assert question.columns["score"](gold) == 1
        assert question.columns["score"](str(gold != "True")) == 0
        assert question.columns["score"](NONSENSE) == 0

    def test_a_scorer_that_raises(self) -> None:
        question = load_questions("reasoning_gym:prime_factorization")[0]
        assert question.columns["score"]("3 x banana") == 0


@pytest.mark.parametrize("name", ["boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"])
def test_puzzles_without_gold_answer_get_one(name: str) -> None:
    questions = load_questions(f"reasoning_gym:{name}", "test")
    for index in range(8):
        question = questions[index]
        assert question.columns["score"](question.answers[0]) == 1


def test_boxes_of_one_colour() -> None:
    config = {"min_box_num": 2, "max_box_num": 3}
    questions = load_questions("reasoning_gym:boxnet", dataset_kwargs={"config": config})
    assert all(questions[i].columns["score"](questions[i].answers[0]) == 1 for i in range(20))
    assert json.loads(questions[0].answers[0])


def test_small_cube() -> None:
    question = load_questions("reasoning_gym:rubiks_cube", dataset_kwargs={"config": {"cube_size": 2}})[0]
    assert question.columns["score"](question.answers[0]) == 1


def test_blank_gold_answers_are_left_out() -> None:
    questions = load_questions("reasoning_gym:ab", "test")
    assert all(questions[i].answers[0] for i in range(len(questions)))


def test_failing_questions_are_replaced() -> None:
    questions = load_questions("reasoning_gym:codeio", "test")
    assert all(questions[i].answers[0] for i in range(0, 400, 7))


def test_a_generator_that_always_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator("chain_sum", size=10)
    monkeypatch.setattr(type(generator.dataset), "__getitem__", lambda self, index: 1 / 0)
    with pytest.raises(
        DataError, match="'chain_sum' .* could not make question 3, .* division by zero. Change the con"
    ):
        generator.entry(3)


@pytest.mark.parametrize(
    ("dataset", "kwargs", "error", "message"),
    [
        ("reasoning_gym:chain_sm", {}, UnknownNameError, "unknown generator .* 'chain_sm'. Did you mean 'chain_sum'"),
        ("reasoning_gym:composite", {}, UnknownNameError, "unknown generator"),
        ("reasoning_gym", {}, ConfigurationError, "needs the name of a generator. Write for example"),
        ("reasoning_gym:", {}, ConfigurationError, "needs the name of a generator"),
        ("reasoning_gym:ab,ab", {}, ConfigurationError, "occurs twice"),
        ({"ab": 0}, {}, ConfigurationError, "weight of the generator 'ab' has to be a positive number, got 0"),
        ({"ab": "x"}, {}, ConfigurationError, "got 'x'"),
        ({}, {}, ConfigurationError, "needs the name"),
        ("reasoning_gym", {"generators": 3}, ConfigurationError, "expected names of generators .*, got 3"),
        ("reasoning_gym:ab", {"size": 0}, ConfigurationError, "size has to be an integer from 1"),
        ("reasoning_gym:ab", {"config": 3}, ConfigurationError, "config has to be a mapping .*, got 3"),
        (
            "reasoning_gym:ab",
            {"config": {"lenth": 3}},
            ConfigurationError,
            "unknown option .* 'lenth'. Did you mean 'le",
        ),
        ("reasoning_gym:ab", {"config": {"seed": 3}}, ConfigurationError, "unknown option .* 'seed'"),
        (
            "reasoning_gym:ab",
            {"config": {"length": -1}},
            ConfigurationError,
            "'ab' .* refuses its config {'length': -1}",
        ),
        ("reasoning_gym:ab,acre", {"config": {"length": 3}}, ConfigurationError, "With several generators, config is"),
        ("reasoning_gym:ab,acre", {"config": {"ab": 3}}, ConfigurationError, "config of the generator 'ab' has to be"),
        (
            "reasoning_gym:rubiks_cube",
            {"config": {"cube_size": 4}},
            ConfigurationError,
            "cube_size .* at most 3, got 4",
        ),
        ("reasoning_gym:ab", {"template": "{q}"}, ConfigurationError, "unknown field 'q'"),
        ("reasonin_gym", {}, UnknownNameError, "Did you mean 'reasoning_gym'"),
    ],
)
def test_bad_arguments(dataset: Any, kwargs: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_questions(dataset, dataset_kwargs=kwargs)


def test_bad_split() -> None:
    assert load_questions("reasoning_gym:ab", "val")[0] == load_questions("reasoning_gym:ab", "validation")[0]
    with pytest.raises(UnknownNameError, match="unknown split 'tets'. Did you mean 'test'"):
        load_questions("reasoning_gym:ab", "tets")


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)
    with pytest.raises(
        MissingDependencyError, match=r"'reasoning_gym:...' needs .*'reasoning-gym'.*lm-envs\[reasoning\]"
    ):
        load_questions("reasoning_gym:ab")
