"""Arguments that cannot work are refused before anything is loaded, with what to do instead."""

from __future__ import annotations

from typing import Any

import pytest

from lm_envs.dialogue.config import DialogueConfig
from lm_envs.dialogue.env import DialogueEnv
from lm_envs.dialogue.partners import Message, Partners
from lm_envs.errors import ConfigurationError, LMEnvsError, ModelError, UnknownNameError


def echo(history: list[Message]) -> str:
    """A partner without acts."""
    return "Hm?"


def test_defaults_agree_with_the_environments() -> None:
    config = DialogueConfig()
    for name, value in DialogueEnv.__init__.__kwdefaults__.items():
        expected = {"partner": "agenda", "partner_kwargs": {}, "stop": ()}.get(name, value)
        assert getattr(config, name) == expected


def test_a_dataset_alone_means_replay() -> None:
    assert DialogueConfig(dataset="talks.jsonl").partner == "replay"
    assert DialogueConfig(dataset="talks.jsonl", partner="lm").partner == "lm"
    with pytest.raises(ConfigurationError, match="both partner='agenda', .* and a dataset: pass one of the two"):
        DialogueConfig(dataset="talks.jsonl", partner="agenda")


@pytest.mark.parametrize("name", ["max_tokens", "max_turns", "max_turn_tokens", "max_user_tokens"])
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "8", None])
def test_numbers(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be an integer of at least 1, got"):
        DialogueConfig(**{name: value})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"actions": "act"}, UnknownNameError, "unknown actions 'act'. Did you mean 'acts'"),
        ({"phrasing": "llm"}, UnknownNameError, "unknown phrasing 'llm'. Did you mean 'lm'"),
        ({"on_overflow": "dropp"}, UnknownNameError, "unknown on_overflow 'dropp'. Did you mean 'drop'"),
        ({"render_mode": "ascii"}, UnknownNameError, "unknown render_mode 'ascii'. Did you mean 'ansi'"),
        ({"phrasing": "lm"}, ConfigurationError, "with actions='tokens' the agent writes itself. Pass actions='acts'"),
        ({"system": ""}, ConfigurationError, "system must be the text of a system message, or None, got ''"),
        ({"system": 5}, ConfigurationError, "system must be the text"),
        ({"stop": [""]}, ConfigurationError, "stop must be a string or a list of strings, none of them empty"),
        ({"partner_kwargs": [1]}, ConfigurationError, "partner_kwargs must be a mapping"),
        ({"partner_kwargs": {1: 2}}, ConfigurationError, "partner_kwargs must be a mapping"),
    ],
)
def test_values_that_cannot_work(arguments: dict[str, Any], error: type[LMEnvsError], message: str) -> None:
    with pytest.raises(error, match=message):
        DialogueConfig(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"partner": "agendas"}, UnknownNameError, "unknown partner 'agendas'. Did you mean 'agenda'"),
        ({"partner": 5}, ConfigurationError, "expected a partner's name"),
        ({"partner": echo, "partner_kwargs": {"wrd": 1}}, ConfigurationError, "cannot be called with the messages"),
        ({"partner": echo, "actions": "acts"}, ConfigurationError, "no dialogue acts to choose from: use"),
        ({"max_tokens": 60}, ConfigurationError, "max_tokens = 60 leaves no room .* Set max_tokens to 67 or more"),
        ({"max_tokens": 9999}, ConfigurationError, "more than the 2048 positions of model 'tiny'"),
        ({"reward": "goal_succes"}, UnknownNameError, "Did you mean 'goal_success'"),
        ({"split": "tset"}, LMEnvsError, "tset"),
        ({"model": "./nowhere"}, ModelError, "no model folder"),
    ],
)  # fmt: skip
def test_what_only_loading_shows(arguments: dict[str, Any], error: type[LMEnvsError], message: str) -> None:
    with pytest.raises(error, match=message):
        DialogueEnv(
            **{
                "partner": echo,
                "reward": "turn_cost",
                **({"partner": None} if "split" in arguments else {}),
                **arguments,
            }
        )


@pytest.mark.parametrize(("typo", "meant"), [("leave", "leaves"), ("num_rows", None)])
def test_partner_kwargs_with_a_typo(shop: type[Partners], typo: str, meant: str | None) -> None:
    with pytest.raises(ConfigurationError, match=f"unknown argument of the partner .* {typo!r}") as caught:
        DialogueEnv(partner=shop, partner_kwargs={typo: 3})
    assert meant is None or f"Did you mean {meant!r}" in str(caught.value)


def test_partner_kwargs_arrive(shop: Any) -> None:
    env = DialogueEnv(partner=shop, partner_kwargs={"leaves": 77}, split="test")
    assert env._episodes.partners.leaves == 77  # type: ignore[attr-defined]
