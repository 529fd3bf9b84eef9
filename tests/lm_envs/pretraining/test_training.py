"""The training script, with a toy budget."""

import numpy as np
import pytest
import torch

from lm_envs.pretraining.__main__ import main
from lm_envs.pretraining.batches import IGNORED, batches, encode, pad_rows
from lm_envs.pretraining.card import perplexity_in_card
from lm_envs.pretraining.tokenizer import build_tokenizer
from lm_envs.pretraining.training import TrainingConfig, new_model, sharpen, token_losses, train
from lm_envs.world import headlines, passages, spanish
from lm_envs.world.corpus import prompt_of


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(0, n_documents=2000)


def test_training_lowers_the_loss_and_is_seeded(tokenizer):
    config = TrainingConfig(tokens_per_batch=512, warmup=1).scaled(10)
    first, second = train(tokenizer, config), train(tokenizer, config)
    inputs = next(batches(tokenizer, np.random.default_rng(5), 512))
    untrained = token_losses(new_model(tokenizer, 0), *inputs).mean()
    assert token_losses(first, *inputs).mean() < untrained - 0.5
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_scaling_keeps_the_proportions_of_the_cycles():
    config = TrainingConfig()
    assert [c.steps for c in config.scaled(34).cycles] == [round(c.steps * 34 / config.steps) for c in config.cycles]
    assert config.scaled(config.steps) == config


def test_losses_skip_padding(tokenizer):
    model = new_model(tokenizer, 0).eval()
    rows = encode(tokenizer, ["I love it.", "I love the lamp because it is very good."])
    together = token_losses(model, *pad_rows(rows, tokenizer.pad_token_id))
    alone = torch.cat([token_losses(model, *pad_rows([row], tokenizer.pad_token_id)) for row in rows])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_sharpening_multiplies_the_logits(tokenizer):
    model = new_model(tokenizer, 0).eval()
    input_ids = torch.tensor([[7, 8, 9]])
    with torch.no_grad():
        before = model(input_ids=input_ids).logits
        sharpen(model, 1.5)
        after = model(input_ids=input_ids).logits
    torch.testing.assert_close(after, before * 1.5, rtol=1e-4, atol=1e-5)


def test_batches_start_documents_at_position_0_and_end_them(tokenizer):
    input_ids, labels = next(batches(tokenizer, np.random.default_rng(0), 1024))
    assert input_ids.shape == labels.shape and input_ids.numel() >= 1024
    for row in labels:
        real = row[row != IGNORED]
        assert real[-1] == tokenizer.eos_token_id
        assert (real == tokenizer.eos_token_id).sum() == 1
    assert (input_ids[labels == IGNORED] == tokenizer.pad_token_id).all()


def test_the_architecture(tokenizer):
    model = new_model(tokenizer, 0)
    assert 0.9e6 < model.num_parameters() < 2e6
    assert model.config.num_key_value_heads == 1 and model.config.tie_word_embeddings


@pytest.mark.slow
def test_the_command_writes_a_model_that_loads(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "model"
    main(["--steps", "2", "--out", str(out), "--seed", "3"])
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "README.md"} <= {
        file.name for file in out.iterdir()
    }
    assert list(tmp_path.iterdir()) == [out]
    assert len(AutoTokenizer.from_pretrained(out)) == AutoModelForCausalLM.from_pretrained(out).config.vocab_size
    assert perplexity_in_card((out / "README.md").read_text(encoding="utf-8")) > 100


def test_prompts_can_be_given_and_not_learned(tokenizer):
    shares = {"passages": 0.5, "headlines": 0.2, "translations": 0.2, "reviews": 0.1}
    input_ids, labels = next(batches(tokenizer, np.random.default_rng(0), 4096, shares, answers_only=True))
    whole, _ = next(batches(tokenizer, np.random.default_rng(0), 4096, shares))
    assert torch.equal(input_ids, whole)
    for row, learned in zip(input_ids, labels, strict=True):
        text = tokenizer.decode(row[row != tokenizer.pad_token_id])
        kept = tokenizer.decode(learned[learned != IGNORED])
        assert prompt_of(text) + kept == text
        assert kept.startswith(" ") == bool(prompt_of(text))


def test_the_prompts_of_documents_are_those_of_the_tasks():
    rng = np.random.default_rng(0)
    for item in (passages.generate(rng), headlines.generate(rng), spanish.generate(rng)):
        assert prompt_of(f"{item.prompt} and more") == item.prompt
    assert prompt_of("I love it.") == ""
