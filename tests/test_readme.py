"""The README tells the truth."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

from agents.evaluation import evaluate_agent
from agents.evaluation.text_agents import Speaker
from benchmarks import readme
from lm_envs import rewards
from lm_envs.dialogue import partners
from lm_envs.wrappers import TextInterface

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_measured_numbers_are_those_of_the_result_files():
    assert readme.updated(TEXT) == TEXT, "run: python -m benchmarks.readme"


def test_a_missing_part_is_reported():
    with pytest.raises(ValueError, match="expected one part 'learning'"):
        readme.updated("# lm_envs")


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if not link.startswith("http")]
    assert links and all((ROOT / link).exists() for link in links)
    headings = {re.sub(r"[^\w -]", "", line).replace(" ", "-").lower() for line in re.findall(r"^#+ (.*)", TEXT, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings


BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)
TRAINING = [block for block in BLOCKS if "model.learn(" in block]


@pytest.mark.slow
@pytest.mark.parametrize("code", TRAINING, ids=["PPO", "DQN", "DQN on acts", "PPO on tags", "GRPO"])
def test_the_training_examples_run(code, tmp_path):
    shorter = re.sub(r"model\.learn\([\d_]+", "model.learn(2_500", code)
    assert shorter != code
    (tmp_path / "example.py").write_text(shorter)
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ppo.zip").exists() == ("model.save" in code)


def test_the_environment_lines_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "We bought this lamp."}\n')
    (tmp_path / "personas.txt").write_text("You want a table for two.\nYour phone is broken.\n" * 10)
    (dialogues,) = re.findall(r"```json\n(.*?)```", TEXT, re.S)
    (tmp_path / "dialogues.jsonl").write_text(dialogues)
    blocks = [block for block in BLOCKS if "gym.make" in block]

    async def ask_my_service(history):
        return "Thank you." if history else "Hello."

    scope: dict[str, object] = {"ask_my_service": ask_my_service}
    for block in blocks:
        exec(block, scope)
    assert len(blocks) == 9
    shown = capsys.readouterr().out
    assert shown.startswith("user ") and "\nagent " in shown and "'goal_success': " in shown


def test_what_the_acts_are_and_say_is_shown():
    (block,) = [block for block in BLOCKS if "act_names" in block]
    scope: dict[str, object] = {"gym": gymnasium}
    exec(block, scope)
    listed = re.findall(r'"([\w.]+)"', re.search(r"act_names  # \((.*)\)", block)[1])
    names = scope["env"].unwrapped.act_names
    assert (*names[:2], *names[-4:]) == tuple(listed)
    assert eval(re.search(r"# (info.* == .*)", block)[1], scope)


def test_a_partner_of_ones_own_is_asked():
    (code,) = [block for block in BLOCKS if "class Traveller" in block]
    scope: dict[str, object] = {"gym": gymnasium}
    exec(code, scope)
    env = TextInterface(gymnasium.make("Dialogue-v0", partner=scope["Traveller"]))
    env.reset(seed=0)
    assert env.step("Straight on.")[:3] == ("Sorry?", 0.0, False)
    _, reward, terminated, _, info = env.step("On your left.")
    assert (reward, terminated, info["reward_terms"]) == (1.0, True, {"partner": 1.0})


def test_the_agent_that_speaks_text_is_one():
    (code,) = [block for block in BLOCKS if "my_agents.py" in block]
    scope: dict[str, object] = {}
    exec(code, scope)
    assert evaluate_agent(Speaker(scope["polite"]), "Dialogue-v0", n_prompts=4).metrics["turns"].mean >= 1


def test_partners_and_rewards_are_named_with_what_they_are():
    rows = dict(re.findall(r'^\| `"(\w+)"` \|.*\| (.*) \|$', TEXT.split("### Partners")[1], re.M)[:3])
    assert set(rows) == set(partners.names())
    for name, default in rows.items():
        reward = partners.get(name).default_reward
        weighted = {reward: 1.0} if isinstance(reward, str) else reward
        terms = re.findall(r"([\d.]*) ?`(\w+)`", default)
        assert {term: float(weight or 1) for weight, term in terms} == weighted
    paid = re.findall(r"^\| `(\w+)` \|[^|]*\| (each turn|at the end) \|", TEXT, re.M)
    assert len(paid) == 9
    for name, when in paid:
        assert getattr(rewards.registered(name), "per_turn", False) == (when == "each turn"), name


def test_its_commands_exist():
    from typer.main import get_command

    from agents.cli import app

    commands = set(re.findall(r"^lm-envs (\w+)", TEXT, re.M))
    assert commands and commands <= set(get_command(app).commands)
    targets = set(re.findall(r"^make (\w+)", TEXT, re.M))
    makefile = (ROOT / "Makefile").read_text()
    assert {"train", "test"} <= targets and all(re.search(rf"^{target}:", makefile, re.M) for target in targets)


@pytest.mark.slow
def test_the_commands_of_the_feedback_loop_run_one_after_the_other(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from agents.cli import app

    (block,) = [block for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S) if "lm-envs label" in block]
    commands = [line.partition("#")[0].split()[1:] for line in block.splitlines() if line.startswith("lm-envs")]
    assert [words[0] for words in commands][:2] == ["collect", "label"] and len(commands) == 9
    shorter = {
        "collect": ["--prompts", "24"],
        "train": ["--steps", "2048", "--eval-prompts", "4", "--quiet"],
        "evaluate": ["--prompts", "8"],
        "chat": ["--prompt", "Review of the blue lamp:"],
    }
    monkeypatch.chdir(tmp_path)
    for words in commands:
        if words[0] == "label":  # a person's part
            words = ["feedback", "simulate", words[1], "--reward", "sentiment"]
        result = CliRunner().invoke(app, [*words, *shorter.get(words[0], [])])
        assert result.exit_code == 0, (words, result.output)
    assert (tmp_path / "pleased" / "README.md").exists()
