from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.evaluation import converse, evaluate_agent, import_agent
from agents.evaluation.generation import complete
from agents.evaluation.pretrained_policy import pretrained_policy
from agents.evaluation.text_agents import Speaker
from lm_envs.data import PromptDataset
from lm_envs.dialogue.partners.protocol import Message
from lm_envs.errors import AgentError, ConfigurationError, UnknownNameError

Messages = list[Message]
PROMPTS = [f"the cat {number}" for number in range(12)]


@pytest.fixture
def env_kwargs(lm_folder: str) -> dict[str, Any]:
    return {
        "model": lm_folder,
        "dataset": PromptDataset(PROMPTS),
        "reward": ["distinct", "length"],
        "max_new_tokens": 20,
    }


def polite(messages: Messages) -> str:
    messages.append({"role": "user", "content": "the messages are the agent's own"})
    return f"is good {messages[0]['content'][-1]}"


class Together:
    """An async agent that tells how many of its answers were under way at the same time."""

    def __init__(self) -> None:
        self.running = self.most = 0

    async def __call__(self, messages: Messages) -> str:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.01)
        self.running -= 1
        return polite(messages)


def test_every_prompt_is_answered_in_its_order(env_kwargs: dict[str, Any]) -> None:
    found = converse(polite, "TextGen-v0", env_kwargs, indices=[3, 0, 3, 11], split="train")
    assert [item.prompt for item in found] == ["the cat 3", "the cat 0", "the cat 3", "the cat 11"]
    assert [item.completion for item in found] == [" is good 3", " is good 0", " is good 3", " is good 1"]
    assert all(set(item.reward_terms) == {"distinct", "length"} and item.messages is None for item in found)


def test_answers_of_an_async_agent_are_awaited_together(env_kwargs: dict[str, Any]) -> None:
    agent = Together()
    found = converse(agent, "TextGen-v0", env_kwargs, indices=range(12), split="train", batch_size=5)
    assert agent.most == 5
    assert found == converse(polite, "TextGen-v0", env_kwargs, indices=range(12), split="train")


def test_an_evaluation_is_that_of_policies_without_a_divergence(env_kwargs: dict[str, Any]) -> None:
    result = evaluate_agent(polite, "TextGen-v0", env_kwargs, split="train", n_prompts=5, seed=1)
    assert result.n_prompts == 5 and result.seed == 1
    assert list(result.metrics) == ["reward", "reward/distinct", "reward/length", "distinct_2", "length"]
    assert result.metrics["reward"].mean == pytest.approx(sum(item.reward for item in result.completions) / 5)
    again = evaluate_agent(polite, "TextGen-v0", env_kwargs, split="train", n_prompts=5, seed=1)
    assert result.to_dict(examples=5) == again.to_dict(examples=5)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_conversations_go_on_until_they_end(batch_size: int) -> None:
    async def ask(messages: Messages) -> str:
        return "Sure. Which day?" if len(messages) < 4 else "Goodbye, and thank you."

    result = evaluate_agent(ask, n_prompts=6, batch_size=batch_size)
    for item in result.completions:
        assert item.messages is not None and item.n_turns in (1, 2, 3)
        agent_turns = [message["content"] for message in item.messages if message["role"] == "assistant"]
        assert item.completion == "\n".join(agent_turns) and len(agent_turns) == item.n_turns
        assert item.to_dict()["messages"] == item.messages
    assert result.metrics.keys() >= {"reward", "success", "turns"} and "kl" not in result.metrics
    assert result.completions == evaluate_agent(ask, n_prompts=6, batch_size=3).completions


def angry(messages: Messages) -> str:
    raise ValueError("no idea")


async def late(messages: Messages) -> str:
    raise TimeoutError("too late")


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (angry, "the agent angry raised ValueError: no idea .after 1 message.*'the cat 0'"),
        (late, "the agent late raised TimeoutError: too late"),
        (lambda messages: None, "the agent .*lambda.* returned NoneType None; expected a str"),
        (lambda messages: "a\ud800", r"the agent .*lambda.* returned str 'a.ud800'; expected a str"),
    ],
)
def test_an_agent_that_fails_is_named(env_kwargs: dict[str, Any], agent: Any, message: str) -> None:
    with pytest.raises(AgentError, match=message):
        converse(agent, "TextGen-v0", env_kwargs, indices=[0], split="train")


def test_what_cannot_work_is_refused(env_kwargs: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="batch_size must be at least 1"):
        converse(polite, "TextGen-v0", env_kwargs, indices=[0], batch_size=0)
    for agent in (Together, "polite", 3):
        with pytest.raises(ConfigurationError, match="an agent is a function agent.messages."):
            Speaker(agent)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, with modules of agents; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "some_agents.py").write_text(
        "class Bot:\n    def speak(self, messages):\n        return 'hello'\nbot = Bot()\n"
        "def polite(messages):\n    return 'please'\nNUMBER = 3\n"
    )
    (tmp_path / "broken_agents.py").write_text("1 / 0")
    (tmp_path / "needy_agents.py").write_text("import a_package_that_is_not_there")
    yield tmp_path
    for name in ("some_agents", "broken_agents", "needy_agents"):
        sys.modules.pop(name, None)


def test_an_agent_is_imported_by_its_path(folder: Path) -> None:
    agent = import_agent("some_agents:polite")
    assert agent.name == "some_agents:polite" and not agent.is_async
    assert agent.answers([[{"role": "user", "content": "hi"}]]) == ["please"]
    assert import_agent("some_agents:bot.speak").answers([[]]) == ["hello"]


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("some_agents", ConfigurationError, "expected an agent as MODULE:FUNCTION"),
        ("some_agents:", ConfigurationError, "expected an agent as MODULE:FUNCTION"),
        ("some_agent:polite", UnknownNameError, "there is no module 'some_agent'.*current directory"),
        ("some_agents.deeper:polite", UnknownNameError, "there is no module 'some_agents.deeper'"),
        ("some_agents:polit", UnknownNameError, "Did you mean 'polite'"),
        ("some_agents:NUMBER", ConfigurationError, "an agent is a function"),
        ("broken_agents:polite", AgentError, "importing broken_agents failed with ZeroDivisionError"),
        ("needy_agents:polite", AgentError, "No module named 'a_package_that_is_not_there'. Install what it needs"),
    ],
)
def test_a_path_that_leads_nowhere(folder: Path, path: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        import_agent(path)


def test_users_are_as_patient_with_an_agent_as_with_a_policy() -> None:
    """Neither says anything that users understand, so they leave when their patience is used up."""
    kwargs = {"model": "tiny", "max_turn_tokens": 1, "reward": "turn_cost"}
    policy = pretrained_policy("Dialogue-v0", kwargs, "cpu")
    turns = [
        [item.n_turns for item in items]
        for items in (
            complete(policy, "Dialogue-v0", kwargs, indices=[0] * 8, seed=3, batch_size=2, deterministic=True),
            converse(lambda messages: "", "Dialogue-v0", kwargs, indices=[0] * 8, seed=3),
        )
    ]
    assert turns[0] == turns[1] and len(set(turns[0])) > 1
