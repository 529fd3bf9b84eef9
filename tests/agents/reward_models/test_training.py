from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

import agents
from agents.feedback.examples import Feedback, Preference
from agents.reward_models import training
from agents.reward_models.fitting import Check
from lm_envs.errors import ConfigurationError, DataError, ModelError, UnknownNameError
from lm_envs.models.sentence_encoder import WHEEL
from lm_envs.rewards import RewardModel

PROMPTS = ["was it 1?", "was it 22?", "was it 333?", "was it 4?"]
COMPLETIONS = [" good good", " bad", " the good a is was the bad", ""]
QUICK: dict[str, Any] = {"epochs": 1, "lr": 1e-3, "device": "cpu"}


def weights(folder: Path) -> dict[str, th.Tensor]:
    return AutoModelForSequenceClassification.from_pretrained(folder).state_dict()


def test_the_hidden_reward_is_learned(causal_reward_model: Path) -> None:
    report = json.loads((causal_reward_model / "report.json").read_text())
    assert report["measures"]["accuracy"]["mean"] >= 0.9
    assert report["training"]["comparisons"] + report["validation"]["comparisons"] == 200
    assert report["validation"]["prompts"] > 5 and report["reads"] == "joined"
    assert (causal_reward_model / "plot.png").read_bytes().startswith(b"\x89PNG")
    good, bad = RewardModel(str(causal_reward_model))(["was it 7?"] * 2, [" good good", " bad bad"])
    assert good > 0 > bad


def test_a_causal_folder_scores_the_same_in_a_pipeline(causal_reward_model: Path) -> None:
    scores = RewardModel(str(causal_reward_model), normalize=False)(PROMPTS, COMPLETIONS)
    classify = pipeline("text-classification", model=str(causal_reward_model), function_to_apply="none", device="cpu")
    texts = [prompt + completion for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True)]
    assert [item["score"] for item in classify(texts)] == pytest.approx(scores, abs=1e-4)
    assert [item["score"] for item in classify(texts, batch_size=4)] == pytest.approx(scores, abs=1e-4)


def test_an_encoders_folder_scores_pairs(encoder_reward_model: Path) -> None:
    scores = RewardModel(str(encoder_reward_model), normalize=False)(PROMPTS, COMPLETIONS)
    model = AutoModelForSequenceClassification.from_pretrained(encoder_reward_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder_reward_model)
    assert json.loads((encoder_reward_model / "config.json").read_text())["reward_model"]["reads"] == "pair"
    for prompt, completion, score in zip(PROMPTS, COMPLETIONS, scores, strict=True):
        with th.no_grad():
            inputs = tokenizer(prompt, completion, return_tensors="pt")
            assert model(**inputs).logits.item() == pytest.approx(score, abs=1e-4)


def test_scores_are_normalised_on_the_training_completions(
    tmp_path: Path, lm_folder: str, feedback_of: Callable
) -> None:
    feedback = feedback_of(40)
    report = agents.train_reward_model(feedback, tmp_path / "rm", lm_folder, validation=0, **QUICK)
    texts = {(p.prompt, text) for p in feedback.preferences for text in (p.chosen, p.rejected)}
    scores = RewardModel(report.folder)(*map(list, zip(*texts, strict=True)))
    assert np.mean(scores) == pytest.approx(0, abs=1e-3) and np.std(scores) == pytest.approx(1, abs=1e-3)
    assert report.measures is None and report.accuracy is None


@pytest.mark.parametrize("features", ["all", "linear"])
@pytest.mark.parametrize("body", ["lm_folder", "bert_folder"])
def test_same_seed_same_weights(
    body: str, features: str, tmp_path: Path, request: pytest.FixtureRequest, feedback_of: Callable
) -> None:
    found = []
    for number, seed in enumerate((0, 0, 1)):
        th.manual_seed(number)  # what others draw does not matter
        folder = tmp_path / str(number)
        settings = {**QUICK, "features": features, "seed": seed}
        agents.train_reward_model(feedback_of(24), folder, request.getfixturevalue(body), **settings)
        found.append(weights(folder))
    assert all(th.equal(found[0][name], found[1][name]) for name in found[0])
    assert any(not th.equal(found[0][name], found[2][name]) for name in found[0])


@pytest.mark.parametrize("body", ["lm_folder", "bert_folder"])
def test_linear_features_leave_the_body_alone(
    body: str, tmp_path: Path, request: pytest.FixtureRequest, feedback_of: Callable
) -> None:
    source = request.getfixturevalue(body)
    folder = tmp_path / "rm"
    feedback = feedback_of(200)
    report = agents.train_reward_model(feedback, folder, source, features="linear", device="cpu")
    assert len(report.checks) > 4 and report.accuracy is not None and report.accuracy > 0.7
    from transformers import AutoModel

    before, after = AutoModel.from_pretrained(source).state_dict(), AutoModel.from_pretrained(folder).state_dict()
    assert all(th.equal(before[name], after[name]) for name in before if "pooler" not in name)
    scores = RewardModel(str(folder))  # the same numbers as while it trained: their mean and deviation say so
    texts = {(p.prompt, text) for p in feedback.preferences for text in (p.chosen, p.rejected)}
    assert np.mean(scores(*map(list, zip(*texts, strict=True)))) == pytest.approx(0, abs=0.1)


def test_ratings_alone(tmp_path: Path, lm_folder: str, feedback_of: Callable) -> None:
    feedback = feedback_of(n=0, n_ratings=300)
    settings = {**QUICK, "lr": 3e-3, "epochs": 6, "patience": 6}
    report = agents.train_reward_model(feedback, tmp_path / "rm", lm_folder, **settings)
    assert report.accuracy is None and report.measures is not None and report.measures.rating_error is not None
    assert report.measures.rating_error.mean < 0.35  # the mean rating everywhere has 0.43
    assert report.training.ratings + report.validation.ratings == 300
    assert (tmp_path / "rm" / "plot.png").is_file()


def test_a_reward_model_goes_on_learning(tmp_path: Path, causal_reward_model: Path, feedback_of: Callable) -> None:
    settings = {**QUICK, "lr": 1e-9}
    agents.train_reward_model(feedback_of(24, seed=5), tmp_path / "rm", str(causal_reward_model), **settings)
    first, second = weights(causal_reward_model), weights(tmp_path / "rm")
    assert all(th.allclose(first[name], second[name], atol=1e-5) for name in first)


def test_a_classifier_gets_a_new_output(tmp_path: Path, lm_folder: str, feedback_of: Callable) -> None:
    classifier = AutoModelForSequenceClassification.from_pretrained(lm_folder, num_labels=3)
    classifier.save_pretrained(tmp_path / "classifier")
    AutoTokenizer.from_pretrained(lm_folder).save_pretrained(tmp_path / "classifier")
    report = agents.train_reward_model(feedback_of(24), tmp_path / "rm", str(tmp_path / "classifier"), **QUICK)
    assert len(RewardModel(report.folder)(["a"], [" good"])) == 1


def test_long_prompts_lose_their_beginning(tmp_path: Path, bert_folder: str, feedback_of: Callable) -> None:
    feedback = feedback_of(24)
    feedback.preferences[0] = Preference("the good " * 100, " good", " bad")
    report = agents.train_reward_model(feedback, tmp_path / "rm", bert_folder, **QUICK)
    reward = RewardModel(report.folder)
    long = "x " * 200 + "was it bad?"
    assert reward([long], [" good"]) == reward(["z " + long], [" good"]) != reward([long + "!"], [" good"])
    with pytest.raises(ModelError, match=r"a completion has \d+ tokens and the reward model .* reads at most 64"):
        reward(["a"], [" z" * 100])


@pytest.mark.skipif(importlib.util.find_spec(WHEEL) is None, reason="all-MiniLM-L6-v2's wheel is not installed")
def test_minilm_by_its_alias(tmp_path: Path) -> None:
    pairs = [Preference(f"How was day {i}?", " It was wonderful.", " It was terrible.") for i in range(16)]
    report = agents.train_reward_model(Feedback(pairs), tmp_path / "rm", "minilm", features="linear", device="cpu")
    assert report.reads == "pair" and report.accuracy == 1.0
    good, bad = RewardModel(report.folder)(["How was it?"] * 2, [" It was wonderful.", " It was terrible."])
    assert good > bad


@pytest.fixture
def folder_without_padding(tmp_path: Path, random_lm: Callable, small_tokenizer: Any) -> Path:
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path / "no-padding"
    model = random_lm("llama")
    model.config.pad_token_id = model.config.eos_token_id = None
    model.generation_config.pad_token_id = model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=small_tokenizer.backend_tokenizer).save_pretrained(folder)
    return folder


def test_a_tokenizer_without_padding_token(folder_without_padding: Path, tmp_path: Path, feedback_of: Callable) -> None:
    with pytest.raises(ModelError, match="has neither a padding token nor an end-of-text token.*tokenizer.pad_token ="):
        agents.train_reward_model(feedback_of(24), tmp_path / "rm", str(folder_without_padding), **QUICK)
    assert not (tmp_path / "rm").exists()


def test_the_end_of_text_token_pads_where_there_is_no_other(
    folder_without_padding: Path, tmp_path: Path, feedback_of: Callable
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder_without_padding)
    tokenizer.eos_token = "<|end|>"
    tokenizer.save_pretrained(folder_without_padding)
    report = agents.train_reward_model(feedback_of(24), tmp_path / "rm", str(folder_without_padding), **QUICK)
    reward = RewardModel(report.folder)
    one_by_one = [reward([p], [c])[0] for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    assert reward(PROMPTS, COMPLETIONS) == pytest.approx(one_by_one, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"features": "liner"}, UnknownNameError, "unknown kind of features 'liner'. Did you mean 'linear'"),
        ({"epochs": 0}, ConfigurationError, "epochs has to be an integer >= 1, got 0"),
        ({"batch_size": 2.5}, ConfigurationError, "batch_size has to be an integer >= 1, got 2.5"),
        ({"lr": -1.0}, ConfigurationError, "lr has to be above 0 and below 1, got -1.0"),
        ({"body": "./nowhere"}, ModelError, "there is no model folder './nowhere'"),
        ({"validation": 2}, ConfigurationError, "share for validation"),
        ({"device": "cuda:99"}, ModelError, "no such device: 'cuda:99'"),
    ],
)
def test_wrong_settings(settings: dict, error: type, message: str, tmp_path: Path, feedback_of: Callable) -> None:
    with pytest.raises(error, match=message):
        agents.train_reward_model(feedback_of(8), tmp_path / "rm", **{"body": "tiny", **settings})
    assert not list(tmp_path.iterdir())


def test_files_without_anything_to_learn(tmp_path: Path) -> None:
    for name, content, message in (
        ("empty.jsonl", "", "empty"),
        ("texts.jsonl", '{"prompt": "p", "completion": " c"}\n', "got 1 demonstrations only"),
        ("same.jsonl", '{"prompt": "p", "chosen": " c", "rejected": " c"}\n', "identical texts"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=message):
            agents.train_reward_model(tmp_path / name, tmp_path / "rm")
    assert not (tmp_path / "rm").exists()


def test_other_folders_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="exists and is no trained reward model; it will not be replaced"):
        agents.train_reward_model(Feedback(), tmp_path)
    with pytest.raises(ConfigurationError, match="it will not be replaced"):
        agents.train_reward_ensemble(Feedback(), tmp_path, 2)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_failed_training_leaves_the_earlier_model_whole(
    tmp_path: Path, causal_reward_model: Path, lm_folder: str, feedback_of: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "rm"
    shutil.copytree(causal_reward_model, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupt(check: Check) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        agents.train_reward_model(feedback_of(24), folder, lm_folder, on_check=interrupt, **QUICK)
    monkeypatch.setattr(training, "draw_report", interrupt)
    with pytest.raises(TypeError):
        agents.train_reward_model(feedback_of(24), folder, lm_folder, **QUICK)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["rm"]


def test_members_of_an_ensemble_differ(ensemble: Path) -> None:
    assert json.loads((ensemble / "ensemble.json").read_text()) == {"members": ["member-0", "member-1"]}
    first, second = weights(ensemble / "member-0"), weights(ensemble / "member-1")
    assert any(not th.equal(first[name], second[name]) for name in first)
    reports = json.loads((ensemble / "report.json").read_text())
    assert [member["seed"] for member in reports["members"]] == [0, 1]
    assert reports["members"][1]["folder"] == str(ensemble / "member-1")
    assert 0 <= reports["mean_accuracy"] <= 1


def test_one_model_is_no_ensemble(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="an ensemble has at least 2 members, got 1"):
        agents.train_reward_ensemble(Feedback(), tmp_path / "rm", 1)
