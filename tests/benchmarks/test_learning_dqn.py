"""The recipes for value learning are benchmarked one after the other, with a curve for each."""

from __future__ import annotations

import json

import pytest

from benchmarks import learning, learning_dqn


def _run(seed, values):
    points = [{"step": 100.0 * i, "reward/sentiment": v, "grammar": v, "distinct_2": v} for i, v in enumerate(values)]
    evaluation = {"n_prompts": 2, "metrics": {"reward": {"mean": values[-1]}}}
    return {"seed": seed, "seconds": 1.0, "before": evaluation, "after": evaluation, "curve": points}


def test_curves_are_summarised_over_seeds():
    runs = [_run(0, [0.2, 0.5]), _run(1, [0.4, 0.9])]
    steps, means, lows, highs = learning_dqn.over_seeds(runs, "grammar")
    assert (steps, lows, highs) == ([0.0, 100.0], [0.2, 0.5], [0.4, 0.9])
    assert means == pytest.approx([0.3, 0.7])


def test_results_and_curves_are_written(tmp_path, monkeypatch):
    called = []

    def train(seed, arguments, threads=None):
        called.append((seed, tuple(arguments), threads))
        return _run(seed, [0.1, 0.2])

    monkeypatch.setattr(learning, "train", train)
    recipes = ["dqn", "dqn_sparse"]
    options = ["--seeds", "0", "1", "--jobs", "2", "--folder", str(tmp_path), "--steps", "64"]
    learning_dqn.main(["--recipes", *recipes, *options])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "learning_dqn.png",
        "learning_dqn_reviews.json",
        "learning_dqn_sparse_reviews.json",
    ]
    result = json.loads((tmp_path / "learning_dqn_sparse_reviews.json").read_text())
    assert "-E shaping=false" in result["command"] and result["command"].endswith("--steps 64")
    assert [run["seed"] for run in result["runs"]] == [0, 1] and len(called) == 4
    assert all(threads is not None for _, _, threads in called)
