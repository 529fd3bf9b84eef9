import pickle
from typing import Any

import pytest

from lm_envs.errors import ConfigurationError
from lm_envs.qa.sources import load_questions
from lm_envs.qa.sources.curriculum import CurriculumQuestions


def levels(n: int) -> list:
    return [load_questions([{"question": f"Level {i}?", "answer": str(i)}]) for i in range(n)]


class TestLevel:
    def test_rises_and_falls(self) -> None:
        questions = CurriculumQuestions(levels(3), window=4, raise_at=0.75, lower_at=0.25)
        seen = []
        for right in (True, True, False, True, True, True, True, True, False, False, False, False):
            questions.record(questions[0], right)
            seen.append(questions.level)
        assert seen == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 1]  # each level counts its own answers

    def test_stays_within_the_levels(self) -> None:
        questions = CurriculumQuestions(levels(2), window=1)
        for right, level in ((False, 0), (True, 1), (True, 1), (False, 0)):
            questions.record(questions[0], right)
            assert questions.level == level

    def test_counts_the_last_answers(self) -> None:
        questions = CurriculumQuestions(levels(2), window=3, raise_at=1.0, lower_at=-1)
        for right in (True, True, False, True, True):
            questions.record(questions[0], right)
        assert questions.level == 0
        questions.record(questions[0], True)
        assert questions.level == 1

    def test_questions_are_those_of_the_level(self) -> None:
        questions = CurriculumQuestions(levels(2), window=1)
        assert questions[0].answers == ("0",)
        questions.record(questions[0], True)
        assert questions[0].answers == ("1",)
        assert questions.is_right(questions[0], "1")
        assert (len(questions), questions.n_levels, questions.columns) == (1, 2, ("question", "level"))
        assert pickle.loads(pickle.dumps(questions)).level == 1

    def test_answers_to_questions_of_another_level_do_not_count(self) -> None:
        questions = CurriculumQuestions(levels(3), window=1)
        easy = questions[0]
        for _ in range(5):
            questions.record(easy, True)
        assert questions.level == 1 and questions.is_right(easy, "0") and easy.columns["level"] == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"level": 2}, "level has to be an integer from 0 to 1, got 2"),
            ({"window": 0}, "window has to be an integer at least 1"),
            ({"raise_at": 0.2, "lower_at": 0.2}, "lower_at has to be less than raise_at"),
            ({"raise_at": 1.1}, "at most 1, got 0.2 and 1.1"),
        ],
    )
    def test_bad_arguments(self, arguments: dict, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            CurriculumQuestions(levels(2), **arguments)

    def test_no_level(self) -> None:
        with pytest.raises(ConfigurationError, match="at least one level"):
            CurriculumQuestions([])


def load(dataset: Any, **kwargs: Any) -> Any:
    pytest.importorskip("reasoning_gym")
    return load_questions(dataset, dataset_kwargs=kwargs)


def digits(questions: Any) -> int:
    return max(len(word) for i in range(40) for word in questions[i].prompt.split() if word.isdecimal())


class TestReasoningGym:
    def test_levels_are_harder_and_harder(self) -> None:
        longest = [digits(load("reasoning_gym:chain_sum", level=level)) for level in (0, 2, 5)]
        assert longest == sorted(set(longest))

    def test_curriculum(self) -> None:
        questions = load("reasoning_gym:chain_sum", curriculum={"window": 10, "raise_at": 0.9})
        easy = digits(questions)
        for _ in range(30):
            questions.record(questions[0], questions.is_right(questions[0], questions[0].answers[0]))
        assert questions.level == 3
        assert digits(questions) > easy
        assert questions.default_reward == "verifier"

    def test_a_level_to_begin_with(self) -> None:
        questions = load("reasoning_gym:chain_sum", curriculum=True, level=4)
        assert questions.level == 4
        assert questions.n_levels == 11

    def test_options_go_before_the_level(self) -> None:
        assert digits(load("reasoning_gym:chain_sum", level=9, config={"min_digits": 1, "max_digits": 1})) == 1

    def test_several_generators(self) -> None:
        questions = load({"chain_sum": 1, "acre": 1, "ab": 1}, curriculum=True, size=50)
        assert {questions[i].columns["generator"] for i in range(50)} == {"chain_sum", "acre", "ab"}

    def test_levels_that_the_generator_refuses_are_left_out(self) -> None:
        assert load("reasoning_gym:caesar_cipher", curriculum=True).n_levels == 2

    @pytest.mark.parametrize(
        ("dataset", "kwargs", "message"),
        [
            ("reasoning_gym:acre", {"curriculum": True}, "reasoning-gym has no levels for acre: set the difficulty by"),
            ("reasoning_gym:chain_sum", {"level": 11}, "level has to be an integer from 0 to 10, got 11"),
            ("reasoning_gym:chain_sum", {"level": "hard"}, "got 'hard'"),
            (
                "reasoning_gym:chain_sum",
                {"curriculum": {"windw": 3}},
                "curriculum has to be True or a mapping with level",
            ),
            ("reasoning_gym:chain_sum", {"level": 1, "config": {"digits": 3}}, "unknown option"),
        ],
    )
    def test_bad_arguments(self, dataset: str, kwargs: dict, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            load(dataset, **kwargs)
