"""For every source of questions: the gold answer scores the maximum; garbage, empty text and None score the minimum."""

import importlib.util
from typing import Any

import pytest

from lm_envs.qa.extraction import extractor, read_answer
from lm_envs.qa.questions import Question, Questions
from lm_envs.qa.sources import load_questions, names
from lm_envs.rewards import make_reward

GARBAGE = ("@#~ %% $$", "", "  \n", None)
OWN = {
    "squad": [
        {
            "context": "Tom has a red cat.",
            "question": "What colour?",
            "answers": {"text": ["red"], "answer_start": [10]},
        },
        {"context": "Tom has a red cat.", "question": "Where?", "answers": {"text": [], "answer_start": []}},
    ],
    "plain": [{"question": "2 + 2 =", "answer": 4}, {"question": "Who?", "answer": "The Tom"}],
    "choice": [{"question": "A fruit?", "choices": ["a lamp", "an apple"], "answer": 1}],
    "arc": [{"question": "A fruit?", "choices": {"text": ["lamp", "apple"], "label": ["1", "2"]}, "answer": "2"}],
}


def generators() -> list[str]:
    if importlib.util.find_spec("reasoning_gym") is None:
        return []
    from lm_envs.qa.sources.generator import generator_names

    return generator_names()


def scores(questions: Questions, question: Question, completions: list[str | None]) -> list[float]:
    """As the environment pays for completions."""
    n = len(completions)
    extract = extractor(questions.default_answer)
    own = {name: [question.columns[name]] * n for name in questions.columns}
    columns = {
        **own,
        "reference": [list(question.answers)] * n,
        "choices": [list(question.choices)] * n,
        "extracted": [read_answer(extract, completion) for completion in completions],
    }
    reward = make_reward(questions.default_reward)
    return list(reward([question.prompt] * n, [text or "" for text in completions], **columns).total)


def check(questions: Questions, index: int) -> None:
    question = questions[index]
    for gold in question.answers:
        for completion in (gold, f" {gold}\n"):
            assert scores(questions, question, [completion]) == [1]
            assert questions.is_right(question, completion)
    assert scores(questions, question, list(GARBAGE)) == [0] * len(GARBAGE)
    assert not any(questions.is_right(question, text or "") for text in GARBAGE)
    assert set(question.columns) == set(questions.columns)
    assert not question.choices or set(question.answers) <= set(question.choices)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("name", [name for name in names() if name != "reasoning_gym"])
def test_small_world(name: str, split: str) -> None:
    questions = load_questions(name, split)
    for index in range(0, len(questions), 37):
        check(questions, index)
        stopped = f" {questions[index].answers[0]}."  # as the embedded model writes
        assert scores(questions, questions[index], [stopped]) == [1]


@pytest.mark.parametrize("form", OWN)
def test_own_data(form: str) -> None:
    questions = load_questions(OWN[form])
    for index in range(len(questions)):
        check(questions, index)


def test_letters_are_answers() -> None:
    questions = load_questions(OWN["choice"])
    assert scores(questions, questions[0], ["B", "(b)", "B. an apple", "A", "B. a lamp", "C"]) == [1, 1, 1, 0, 0, 0]


@pytest.mark.skipif(not generators(), reason="reasoning-gym is not installed")
def test_there_are_more_than_a_hundred_generators() -> None:
    assert len(generators()) > 100


@pytest.mark.parametrize("name", generators())  # all of them: each takes about a second at most
@pytest.mark.parametrize("split", ["train", "test"])
def test_reasoning_gym(name: str, split: str) -> None:
    questions = load_questions(f"reasoning_gym:{name}", split)
    for index in (0, 100):
        check(questions, index)


def test_wrong_answers_score_less() -> None:
    for name, wrong in (("passages", "lamp post"), ("sentiment", "neutral"), ("relation", "lives at")):
        questions: Any = load_questions(name, "test")
        assert scores(questions, questions[0], [wrong]) == [0]


@pytest.mark.parametrize(
    "reward",
    [
        lambda prompts, completions, **columns: [1.0] * len(completions),
        lambda prompts, completions, **columns: [0.0] * len(completions),
        lambda prompts, completions, **columns: [float(bool((text or "").strip())) for text in completions],
        lambda prompts, completions, reference, **columns: [
            float(text == gold[0]) for text, gold in zip(completions, reference, strict=True)
        ],
    ],
    ids=["always", "never", "anything", "as it is written"],
)
@pytest.mark.parametrize("dataset", ["sentiment", OWN["plain"]], ids=["sentiment", "own"])
def test_the_check_can_fail(dataset: Any, reward: Any) -> None:
    questions: Any = load_questions(dataset)
    check(questions, 0)
    questions.default_reward = reward
    with pytest.raises(AssertionError):
        check(questions, 0)
