from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

AGENTS = """
def polite(messages):
    return "is good"

async def asks(messages):
    return "Sure. Which day?"

def angry(messages):
    raise ValueError("no idea")
"""


@pytest.fixture(autouse=True)
def agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module of agents in the current directory, forgotten afterwards."""
    (tmp_path / "my_agents.py").write_text(AGENTS)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    sys.modules.pop("my_agents", None)


def test_an_agent_beside_the_untrained_model(cli: Callable) -> None:
    arguments = ["evaluate", "--env", "Dialogue-v0", "--agent", "my_agents:asks", "--prompts", 4]
    result = cli(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == ["untrained", "agent"]
    assert found["agent"]["n_prompts"] == 4 and found["agent"]["metrics"].keys() == found["untrained"]["metrics"].keys()
    table = cli(*arguments).stdout
    assert "my_agents:asks: 4 conversations of the split 'test', 95% intervals" in table
    assert "untrained" in table and "agent" in table and "length, turns" in table and "KL" not in table


def test_an_agent_beside_a_run(cli: Callable, small_run: Path) -> None:
    result = cli("evaluate", small_run, "--agent", "my_agents:polite", "--prompts", 4, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == ["untrained", "trained", "agent"]
    assert "kl" in found["trained"]["metrics"] and "kl" not in found["agent"]["metrics"]
    assert found["agent"]["metrics"]["length"]["mean"] == 3
    assert "KL" in cli("evaluate", small_run, "--agent", "my_agents:polite", "--prompts", 4).stdout


def test_an_agent_beside_a_policy_that_chooses_acts(cli: Callable, tmp_path: Path) -> None:
    from stable_baselines3 import DQN

    from agents import make_lm_vec_env

    venv = make_lm_vec_env("Dialogue-v0", n_envs=2, seed=0, env_kwargs={"actions": "acts"})
    DQN("MultiInputPolicy", venv, buffer_size=10, device="cpu").save(tmp_path / "acts.zip")
    acts = ["acts.zip", "--env", "Dialogue-v0", "-E", "actions=acts"]
    result = cli("evaluate", *acts, "--agent", "my_agents:asks", "--prompts", 4, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert list(found) == ["untrained", "trained", "agent"] and "kl" not in found["trained"]["metrics"]
    assert "agent   " in cli("sample", *acts, "--prompts", 1).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to evaluate"),
        (["--agent", "my_agents"], "expected an agent as MODULE:FUNCTION"),
        (["--agent", "my_agents:polit"], "Did you mean 'polite'?"),
        (["--agent", "your_agents:polite"], "there is no module 'your_agents'"),
        (["--agent", "my_agents:angry", "-n", "2"], "the agent my_agents:angry raised ValueError: no idea"),
        (["tiny", "--env", "Dialogue-v0", "-E", "max_turn=3"], "Did you mean 'max_turns'?"),
        (["tiny", "--env", "Dialogue-v0", "-t", "reviews"], "Dialogue-v0 has no tasks"),
        (["tiny", "-E", "model=x"], "it has a setting of its own"),
    ],
)
def test_mistakes(cli: Callable, arguments: list[str], message: str) -> None:
    result = cli("evaluate", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr


def test_samples_are_conversations(cli: Callable) -> None:
    result = cli("sample", "tiny", "--env", "Dialogue-v0", "--prompts", 1)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("user    ") and lines[1].startswith("agent   ") and "reward" in result.stdout
    (row,) = json.loads(cli("sample", "tiny", "--env", "Dialogue-v0", "--prompts", 1, "--json").stdout)
    assert [message["role"] for message in row["messages"][:2]] == ["user", "assistant"]
    wrong = cli("sample", "tiny", "Hello.", "--env", "Dialogue-v0")
    assert wrong.exit_code == 2 and "lm-envs play Dialogue-v0 --agent" in wrong.stderr
