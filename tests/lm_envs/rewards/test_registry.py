import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.rewards import Length, Regex, get, make_reward, names, register, registered, registry


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    yield


def shout(prompts: list[str], completions: list[str], weight: float = 1.0, **columns: Any) -> list[float]:
    return [weight * text.isupper() for text in completions]


def test_names_are_sorted_and_complete() -> None:
    wanted = {
        *(
            "sentiment",
            "bleu",
            "chrf",
            "ter",
            "rouge",
            "rouge1",
            "rouge2",
            "rougeL",
            "exact_match",
            "token_f1",
        ),
        *("regex", "length", "repetition", "distinct", "keywords", "fluency", "cross_entropy", "grammar"),
    }
    assert wanted <= set(names())
    assert names() == sorted(names())


def test_register_a_function() -> None:
    assert register("shout", shout) is shout
    assert get("shout") is shout
    assert list(make_reward("shout")(["p"], ["A"]).total) == [1]
    assert list(make_reward("shout:weight=3")(["p"], ["A"]).total) == [3]
    pickle.loads(pickle.dumps(make_reward("shout:weight=3")))


def test_register_as_decorator() -> None:
    @register("whisper")
    def whisper(completions: list[str], **columns: Any) -> list[float]:
        return [float(text.islower()) for text in completions]

    assert get("whisper") is whisper


def test_register_a_class_an_object_and_a_factory() -> None:
    register("own_length", Length)
    assert get("own_length", target=7) == Length(7)
    register("five_words", Length(5))
    assert get("five_words") == Length(5)
    register("characters", lambda target: Length(target, unit="characters"))
    assert get("characters", target=3) == Length(3, unit="characters")


def test_taken_name() -> None:
    register("shout", shout)
    register("shout", shout)  # as when a notebook's cell runs twice
    with pytest.raises(ConfigurationError, match="'shout' is registered already.*overwrite=True"):
        register("shout", Length)
    register("shout", Length, overwrite=True)
    assert get("shout") == Length()


@pytest.mark.parametrize(
    ("name", "factory", "message"),
    [
        ("a:b", shout, "without a colon, got 'a:b'"),
        ("", shout, "without a colon, got ''"),
        ("number", 3, "to register 'number', expected reward.*got 3"),
    ],
)
def test_register_nonsense(name: str, factory: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        register(name, factory)


def test_factory_that_makes_no_reward() -> None:
    register("forgetful", lambda: None)
    with pytest.raises(ConfigurationError, match="'forgetful' returned None; expected a reward"):
        get("forgetful")


def test_unknown_name() -> None:
    with pytest.raises(UnknownNameError, match="unknown reward 'sentimnt'. Did you mean 'sentiment'.*register"):
        make_reward({"sentimnt": 1.0})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (None, "got None"),
        (3.0, r"a registered name, a mapping.*got 3.0 \(float\)"),
        ([], "at least one term"),
        ({}, "at least one term"),
        (Length, r"got the class Length. Pass Length\(\)"),
        ({"length": "heavy"}, "weight of the reward 'length' has to be a finite number, got 'heavy'"),
        ({"length": float("nan")}, "finite number, got nan"),
        ({"length": True}, "finite number, got True"),
        ({"length": {"target": 3}}, "Parameters belong into the name: {'length:parameter=value': 1.0}"),
        ({shout: None}, "weight of the reward 'shout'"),
        ("length:unit", "target of the reward 'length' has to be an integer >= 1, got 'unit'"),
        ("sentiment:good", "the reward 'sentiment' takes no parameters, got 'sentiment:good'"),
        ("length:20,target=3", "'length:20,target=3' has the parameter 'target' twice"),
        ("length:target=3,tar=4", "unknown parameter of the reward 'length' 'tar'. Did you mean 'target'"),
    ],
)
def test_bad_specifications(spec: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_reward(spec)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("length", Length()),
        (" length : target = 3 , unit = characters ", Length(3, "characters")),
        ("length:unit='tokens'", Length(unit="tokens")),
        ("regex:pattern=^a,b:c=?d$", get("regex", pattern="^a,b:c=?d$")),
        ("length:20", Length(20)),
        ("length: 20 , unit=tokens", Length(20, "tokens")),
        ("regex:http://127.0.0.1:8000/a=b,mode=fullmatch", Regex("http://127.0.0.1:8000/a=b", "fullmatch")),
        ("regex:runs/a,b", Regex("runs/a,b")),
    ],
)
def test_parameters_in_a_name(spec: str, expected: Any) -> None:
    assert make_reward(spec).terms[0].function == expected


def test_what_stands_behind_a_name_is_told() -> None:
    assert registered("length") is Length
    with pytest.raises(UnknownNameError, match="Did you mean 'length'"):
        registered("lenght")
