"""What README and pages show as code runs, and says what the code is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

from agents.evaluation import evaluate_agent
from agents.evaluation.text_agents import Speaker
from benchmarks.documents import documents
from lm_envs import rewards, tasks
from lm_envs.dialogue import partners
from lm_envs.wrappers import TextInterface

ROOT = Path(__file__).parents[2]
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in documents()}
BLOCKS = {name: re.findall(r"```python\n(.*?)```", text, re.S) for name, text in TEXTS.items()}
TRAINING = [(name, block) for name, found in BLOCKS.items() for block in found if "model.learn(" in block]
ENVIRONMENTS = {name: [block for block in found if "gym.make" in block] for name, found in BLOCKS.items()}


@pytest.fixture
def registries(monkeypatch):
    """What a snippet registers is gone after the test."""
    monkeypatch.setattr(rewards.registry, "_registered", dict(rewards.registry._registered))
    monkeypatch.setattr(tasks, "_TASKS", dict(tasks._TASKS))


def test_every_python_block_is_covered_by_a_test_here():
    covered = ("model.learn(", "gym.make", "act_names", "class Traveller", "my_agents.py")
    covered += ("transformers.pipeline",)  # by tests/agents/test_export.py
    assert not [block for found in BLOCKS.values() for block in found if not any(word in block for word in covered)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code"),
    TRAINING,
    ids=[f"{name}-{'-'.join(re.findall('import ([A-Z0-9]+[a-zA-Z]*)$', code, re.M))}" for name, code in TRAINING],
)
def test_the_training_examples_run(name, code, tmp_path):
    shorter = re.sub(r"model\.learn\([\d_]+", "model.learn(2_500", code)
    assert shorter != code
    (tmp_path / "example.py").write_text(shorter)
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ppo.zip").exists() == ("model.save" in code)


@pytest.mark.parametrize("name", [name for name, found in ENVIRONMENTS.items() if found])
def test_the_environment_lines_run(name, tmp_path, monkeypatch, capsys, registries):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "We bought this lamp."}\n')
    (tmp_path / "personas.txt").write_text("You want a table for two.\nYour phone is broken.\n" * 10)
    (dialogues,) = re.findall(r"```json\n(.*?)```", TEXTS["dialogues"], re.S)
    (tmp_path / "dialogues.jsonl").write_text(dialogues)

    async def ask_my_service(history):
        return "Thank you." if history else "Hello."

    scope: dict[str, object] = {"ask_my_service": ask_my_service, "gym": gymnasium}
    for block in ENVIRONMENTS[name]:
        exec(block, scope)
    shown = capsys.readouterr().out
    if name == "dialogues":
        assert shown.startswith("user ") and "\nagent " in shown and "'goal_success': " in shown


def test_the_prompts_of_a_task_of_ones_own_are_handed_out(registries):
    (code,) = [block for block in BLOCKS["own-parts"] if "tasks.register" in block]
    scope: dict[str, object] = {"gym": gymnasium}
    exec(code, scope)
    env = scope["env"]
    obs, _ = env.reset(seed=0, options={"index": 1})
    assert env.observation_space.contains(obs) and env.spec.kwargs["task"] == "haiku"


def test_what_the_acts_are_and_say_is_shown():
    (block,) = [block for block in BLOCKS["dialogues"] if "act_names" in block]
    scope: dict[str, object] = {"gym": gymnasium}
    exec(block, scope)
    listed = re.findall(r'"([\w.]+)"', re.search(r"act_names  # \((.*)\)", block)[1])
    names = scope["env"].unwrapped.act_names
    assert (*names[:2], *names[-4:]) == tuple(listed)
    assert eval(re.search(r"# (info.* == .*)", block)[1], scope)


def test_a_partner_of_ones_own_is_asked():
    (code,) = [block for block in BLOCKS["dialogues"] if "class Traveller" in block]
    scope: dict[str, object] = {"gym": gymnasium}
    exec(code, scope)
    env = TextInterface(gymnasium.make("Dialogue-v0", partner=scope["Traveller"]))
    env.reset(seed=0)
    assert env.step("Straight on.")[:3] == ("Sorry?", 0.0, False)
    _, reward, terminated, _, info = env.step("On your left.")
    assert (reward, terminated, info["reward_terms"]) == (1.0, True, {"partner": 1.0})


def test_the_agent_that_speaks_text_is_one():
    (code,) = [block for block in BLOCKS["dialogues"] if "my_agents.py" in block]
    scope: dict[str, object] = {}
    exec(code, scope)
    assert evaluate_agent(Speaker(scope["polite"]), "Dialogue-v0", n_prompts=4).metrics["turns"].mean >= 1


def test_partners_and_rewards_are_named_with_what_they_are():
    text = TEXTS["dialogues"]
    rows = dict(re.findall(r'^\| `"(\w+)"` \|.*\| (.*) \|$', text.split("## Partners")[1], re.M)[:3])
    assert set(rows) == set(partners.names())
    for name, default in rows.items():
        reward = partners.get(name).default_reward
        weighted = {reward: 1.0} if isinstance(reward, str) else reward
        terms = re.findall(r"([\d.]*) ?`(\w+)`", default)
        assert {term: float(weight or 1) for weight, term in terms} == weighted
    paid = re.findall(r"^\| `(\w+)` \|[^|]*\| (each turn|at the end) \|", text, re.M)
    assert len(paid) == 9
    for name, when in paid:
        assert getattr(rewards.registered(name), "per_turn", False) == (when == "each turn"), name
