from typing import Any

import pytest

from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.qa.questions import Question, Questions
from lm_envs.qa.sources import get, load_questions, names, register, registry


class Echo(Questions):
    def __init__(self, split: str = "train", word: str = "lamp") -> None:
        self.split, self.word = split, word

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Question:
        return Question(f"Say {self.word}:", (self.word,))


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


def test_names() -> None:
    assert {"passages", "sentiment", "topic", "intent", "relation"} <= set(names())
    assert names() == sorted(names())


def test_register() -> None:
    assert register("echo", Echo) is Echo
    register("echo", Echo)
    assert get("echo") is Echo
    assert "echo" in names()
    questions = load_questions("echo", "test", dataset_kwargs={"word": "chair"})
    assert isinstance(questions, Echo)
    assert (questions.split, questions[0].answers) == ("test", ("chair",))


@pytest.mark.parametrize("dataset", [Echo, lambda split: Echo(split), lambda **kwargs: Echo(**kwargs)])
def test_questions_of_ones_own(dataset: Any) -> None:
    assert load_questions(dataset, "test")[0].answers == ("lamp",)


@pytest.mark.parametrize(
    ("name", "factory", "message"),
    [
        ("a:b", Echo, "without a colon, got 'a:b'"),
        (3, Echo, "without a colon, got 3"),
        ("own", 3, "makes Questions, got 3"),
        ("passages", Echo, "'passages' are registered already"),
    ],
)
def test_register_nonsense(name: Any, factory: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        register(name, factory)


def test_nonsense() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'passages'.*a subclass of lm_envs.qa.questions.Questions"):
        get("passage")
    with pytest.raises(ConfigurationError, match="made 3; expected lm_envs.qa.questions.Questions"):
        load_questions(lambda split: 3)
    with pytest.raises(ConfigurationError, match="a class or function that makes Questions, got <class 'int'>"):
        load_questions(int)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("Passages", "Did you mean 'passages'"),
        ("reasoning-gym:ab", "Did you mean 'reasoning_gym'.*Write reasoning_gym:ab"),
        ("reasoning_gim", "Did you mean 'reasoning_gym'"),
    ],
)
def test_what_is_nearly_a_name_is_not_looked_for_on_the_hub(dataset: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        load_questions(dataset)


def test_a_generator_alone_tells_how_to_write_it() -> None:
    pytest.importorskip("reasoning_gym")
    with pytest.raises(UnknownNameError, match="generator of reasoning-gym: write 'reasoning_gym:chain_sum'"):
        load_questions("chain_sum")


def test_columns_are_no_generators() -> None:
    with pytest.raises(ConfigurationError, match=r"got \['q'\]. A mapping stands for generators; .* a list of rows"):
        load_questions({"question": ["q"], "answer": ["a"]})
