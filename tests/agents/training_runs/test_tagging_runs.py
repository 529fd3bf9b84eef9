"""``lm-envs train Tagging-v0``: with a causal language model and with an encoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.policies.actor_critic import LMActorCriticPolicy
from agents.policies.saved_policy import load_policy
from agents.recipes.train_config import TrainConfig, make_config
from agents.training_runs.training import resume, train


@pytest.fixture(scope="session")
def column_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Forty sentences in the letters that the small tokenizer knows."""
    path = tmp_path_factory.mktemp("data") / "sentences.conll"
    path.write_text("\n\n".join(f"was O\n{word} B-X\ngood O\n{number} B-Y" for word in "abcd" for number in range(10)))
    return str(path)


def small_config(model: str, dataset: str, **settings: object) -> TrainConfig:
    return make_config(
        "Tagging-v0", model=model, dataset=dataset, steps=128, n_envs=4, eval_prompts=4, checkpoint_every=64,
        device="cpu", hyperparameters={"n_steps": 16, "batch_size": 32}, **settings,
    )  # fmt: skip


@pytest.mark.parametrize("folder", ["lm_folder", "bert_folder"])
@pytest.mark.parametrize("trainable", [None, "all"])
def test_a_run(
    tmp_path: Path, column_file: str, folder: str, trainable: str | None, request: pytest.FixtureRequest
) -> None:
    config = small_config(request.getfixturevalue(folder), column_file, trainable=trainable)
    assert config.trainable == (trainable or "heads") and config.label == "sentences"
    run = train(config, tmp_path / "run")
    results = run.read_evaluation()
    for moment in ("before", "after"):
        assert {"reward", "reward/entity_f1", "reward/token_accuracy", "success"} <= results[moment]["metrics"].keys()
    assert not run.hf.exists()  # labels are no text, so there is no language model to export
    assert isinstance(load_policy(run.model, "cpu"), LMActorCriticPolicy)
    assert resume(tmp_path / "run", steps=192).read_evaluation()["after"]["step"] == 192


def test_the_recipe() -> None:
    config = make_config("Tagging-v0")
    assert (config.label, config.trainable, config.kl_coef) == ("entities", "heads", 0.0)


def test_a_penalty_has_no_effect_on_labels(
    tmp_path: Path, column_file: str, lm_folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    train(small_config(lm_folder, column_file, kl_coef=0.1), tmp_path / "run")
    assert "kl_coef has no effect" in caplog.text
