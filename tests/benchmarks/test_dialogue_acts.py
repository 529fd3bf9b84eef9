"""Agents that choose dialogue acts are measured against the policy that knows the simulator's rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import dialogue_acts, learning
from benchmarks.dialogue_acts import Budget


def test_the_hand_written_policy_succeeds_and_a_random_one_does_not() -> None:
    budget = Budget(n_goals=16)
    best, random = dialogue_acts.hand_written(0, budget), dialogue_acts.at_random(0, budget)
    assert best.success == 1.0 and best.n_goals == 16
    assert random.mean_return < 0.5 * best.mean_return and random.success < 0.5


def test_the_same_seed_gives_the_same_score() -> None:
    assert dialogue_acts.at_random(3, Budget(4)) == dialogue_acts.at_random(3, Budget(4))


def test_the_summary_takes_shares_of_the_hand_written_return() -> None:
    values = [("hand_written", 1.0), ("hand_written", 3.0), ("random", 0.5)]
    runs = [{"agent": agent, "mean_return": value, "success": 1.0, "seconds": 2.0} for agent, value in values]
    best, random = dialogue_acts.summarise(runs)
    assert best["mean_return"] == {"mean": 2.0, "min": 1.0, "max": 3.0} and best["share"]["mean"] == 1.0
    assert random["share"] == {"mean": 0.25, "min": 0.25, "max": 0.25}
    assert dialogue_acts.summarise(runs[2:])[0]["share"] is None


def test_recipes_are_trained_as_a_user_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def train(seed: int, arguments: list[str]) -> dict[str, Any]:
        called.append((seed, " ".join(arguments)))
        metrics = {"reward": {"mean": 1.2}, "success": {"mean": 0.9}}
        return {"after": {"n_prompts": 8, "metrics": metrics}}

    monkeypatch.setattr(learning, "train", train)
    file = tmp_path / "acts.json"
    options = "--agents dqn_hidden dqn --seeds 1 2 --goals 8 --steps 64 --json".split()
    dialogue_acts.main([*options, str(file)])
    hidden = "Dialogue-v0 --algo dqn --observation hidden --steps 64 --eval-prompts 8"
    assert called[:2] == [(1, hidden), (2, hidden)]
    assert called[2] == (1, "Dialogue-v0 --algo dqn --steps 64 --eval-prompts 8")
    result = json.loads(file.read_text())
    assert [row["agent"] for row in result["summary"]] == ["dqn_hidden", "dqn"]
    assert result["runs"][0]["success"] == 0.9 and result["settings"]["steps"] == 64
    dialogue_acts.main(["--agents", "random", "--seeds", "1", "2", "--goals", "8", "--add", "--json", str(file)])
    assert [row["agent"] for row in json.loads(file.read_text())["summary"]] == ["dqn_hidden", "dqn", "random"]


@pytest.mark.slow
def test_the_tabular_learner_is_the_example() -> None:
    score = dialogue_acts.tabular(0, Budget(n_goals=4, conversations=20))
    assert score.n_goals == 4 and 0 <= score.success <= 1


def test_a_failed_example_shows_its_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise ValueError('no table')")
    monkeypatch.setattr(dialogue_acts, "EXAMPLE", broken)
    with pytest.raises(SystemExit, match="(?s)training failed.*no table"):
        dialogue_acts.tabular(0, Budget())
    broken.write_text("print('done')")
    with pytest.raises(SystemExit, match="broken.py printed no result; it ends with: 'done"):
        dialogue_acts.tabular(0, Budget())
