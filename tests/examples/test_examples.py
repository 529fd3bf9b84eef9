from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run(name, *arguments)``: run an example as a script in an empty folder; what it printed."""

    def run_script(name: str, *arguments: object) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run_script


def test_train_ppo(tmp_path: Path, run: Run) -> None:
    assert "kl/" in run("train_ppo.py", 2048)
    assert (tmp_path / "ppo_reviews.zip").exists()
    statements = (EXAMPLES / "train_ppo.py").read_text().splitlines()[2:]
    assert len([line for line in statements if line]) <= 15


def test_custom_reward(run: Run) -> None:
    assert "reward/exclaims" in run("custom_reward.py", 1024)


def test_own_data(tmp_path: Path, run: Run) -> None:
    assert "after" in run("own_data.py", 256, tmp_path)
    assert (tmp_path / "run" / "hf" / "model.safetensors").exists()


def test_dqn_candidates(run: Run) -> None:
    assert "reward/sentiment" in run("dqn_candidates.py", 2560)


def test_dqn_hidden_states(tmp_path: Path, run: Run) -> None:
    assert "rollout/" in run("dqn_hidden_states.py", 1000)
    assert (tmp_path / "dqn_hidden_states.zip").exists()
    statements = (EXAMPLES / "dqn_hidden_states.py").read_text().split('"""')[2].replace("\n    ", "").splitlines()
    assert len([line for line in statements if line]) <= 10


def test_dqn_tensorboard(tmp_path: Path, run: Run) -> None:
    assert "last text:" in run("dqn_tensorboard.py", 1600)
    assert list((tmp_path / "runs").glob("dqn_*/events*"))
    assert (tmp_path / "runs" / "best" / "best_model.zip").exists()
    assert list((tmp_path / "runs" / "checkpoints").glob("*replay_buffer*.pkl"))


def test_dqn_choices(run: Run) -> None:
    assert "accuracy" in run("dqn_choices.py", 640)


def test_ppo_tagging(run: Run) -> None:
    assert "entity_f1" in run("ppo_tagging.py", 2048)


def test_ppo_data_parallel(tmp_path: Path, run: Run) -> None:
    assert "kl/" in run("ppo_data_parallel.py", 2048)
    assert (tmp_path / "ppo_data_parallel.zip").exists()


def test_ppo_dialogue(run: Run) -> None:
    shown = run("ppo_dialogue.py", 4096)
    assert "success" in shown and "kl" in shown and "assistant" in shown


def test_dqn_dialogue_acts(run: Run) -> None:
    assert "success" in run("dqn_dialogue_acts.py", 1600)


def test_tabular_q_learning(run: Run) -> None:
    shown = run("tabular_q_learning.py", "--conversations", 1500, "--evaluations", 64)
    assert float(shown.split("success ")[-1]) > 0.5
    assert len((EXAMPLES / "tabular_q_learning.py").read_text().splitlines()) <= 60


def test_every_example_has_a_test() -> None:
    tested = {f"{name.removeprefix('test_')}.py" for name in globals() if name.startswith("test_")}
    assert {path.name for path in EXAMPLES.glob("*.py")} <= tested


def test_rlhf_loop(tmp_path: Path, run: Run) -> None:
    shown = run("rlhf_loop.py", tmp_path / "loop", 24, 2048)
    assert shown.count("hidden reward on held-out prompts") == 3
    assert (tmp_path / "loop" / "round_2" / "policy" / "hf" / "model.safetensors").exists()
    again = run("rlhf_loop.py", tmp_path / "loop", 24, 2048)  # everything is there already
    assert "sampling" not in again and "training" not in again
