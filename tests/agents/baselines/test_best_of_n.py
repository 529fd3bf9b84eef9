"""The best of n is what the chooser likes best, measured with the environment's own reward."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agents.baselines.best_of_n import best_of_n, kl_bound, with_bound
from agents.evaluation import complete, evaluate
from agents.evaluation.pretrained_policy import pretrained_policy
from agents.evaluation.prompts import choose_prompts
from lm_envs.errors import ConfigurationError, UnknownNameError

PROMPTS = [f"the {word} {number}" for number in range(5) for word in ("good", "bad")]


def count_letters(prompts, completions, **columns):
    return [len(set(text)) / 10 for text in completions]


def negative_length(prompts, completions, wanted, **columns):
    assert all(prompt.endswith(want) for prompt, want in zip(prompts, wanted, strict=True))
    return [-float(len(text)) for text in completions]


@pytest.fixture
def setting(lm_folder, tmp_path):
    import json

    path = tmp_path / "prompts.jsonl"
    rows = [{"prompt": prompt, "wanted": prompt[-1]} for prompt in PROMPTS * 4]
    path.write_text("\n".join(map(json.dumps, rows)))
    kwargs = {"model": lm_folder, "dataset": str(path), "reward": count_letters}
    kwargs |= {"max_prompt_tokens": 12, "max_new_tokens": 6}
    return pretrained_policy("TextGen-v0", kwargs, "cpu"), kwargs


@pytest.mark.parametrize("reward", [None, negative_length])
def test_the_best_under_the_chooser_is_kept(setting, reward):
    policy, kwargs = setting
    found = best_of_n(policy, "TextGen-v0", kwargs, 4, reward=reward, split="train", n_prompts=5, batch_size=20)
    indices = choose_prompts(kwargs, "train", 5, 0)
    everything = complete(policy, "TextGen-v0", kwargs, indices=indices.repeat(4).tolist(), split="train")
    texts = np.array([item.completion for item in everything], dtype=object).reshape(5, 4)
    rate = (lambda text: -len(text)) if reward else (lambda text: len(set(text)) / 10)
    assert found.scores == pytest.approx(np.vectorize(rate)(texts).astype(float))
    best = [row[scores.argmax()] for row, scores in zip(texts, found.scores, strict=True)]
    assert [item.completion for item in found.evaluation.completions] == best
    assert found.evaluation.metrics["reward"].mean == pytest.approx(np.mean([len(set(text)) / 10 for text in best]))
    assert found.n_tokens == sum(item.n_new_tokens for item in everything)


def test_it_is_compared_on_the_prompts_of_an_evaluation_and_chunks_cover_all(setting):
    policy, kwargs = setting
    one = evaluate(policy, "TextGen-v0", kwargs, split="train", n_prompts=7)
    best = best_of_n(policy, "TextGen-v0", kwargs, 3, split="train", n_prompts=7, batch_size=6)
    assert best.scores.shape == (7, 3) and np.unique(best.scores).size > 3
    assert best.evaluation.difference_from(one)["reward"].mean > 0
    assert (best.scores.max(axis=1) == [item.reward for item in best.evaluation.completions]).all()
    assert with_bound(best).metrics["kl"].mean == kl_bound(3) and "kl" not in best.evaluation.metrics
    assert best.to_dict()["best_of_n"] == {"n": 3, "tokens": best.n_tokens, "kl_bound": kl_bound(3)}


def test_the_bound_is_that_of_a_text_that_is_never_likely():
    assert kl_bound(1) == 0 and kl_bound(16) == pytest.approx(math.log(16) - 15 / 16)
    n, size = 4, 100_000  # the best of n among equally likely texts has density n * rank ** (n - 1)
    ranks = np.arange(1, size + 1) / size
    chosen = ranks**n - (ranks - 1 / size) ** n
    exact = float((chosen * np.log(chosen * size)).sum())
    assert exact == pytest.approx(kl_bound(n), abs=1e-3) and exact <= kl_bound(n) + 1e-9


def test_what_cannot_be_chosen_by_is_refused(setting):
    policy, kwargs = setting
    with pytest.raises(ConfigurationError, match="n must be an integer of at least 1; got 0"):
        best_of_n(policy, "TextGen-v0", kwargs, 0)
    with pytest.raises(ConfigurationError, match="chooses among texts of TextGen-v0; got 'QA-v0'"):
        best_of_n(policy, "QA-v0", {}, 2, reward="sentiment")
    with pytest.raises(UnknownNameError, match="reference"):
        best_of_n(policy, "TextGen-v0", kwargs, 2, reward="bleu", split="train")
