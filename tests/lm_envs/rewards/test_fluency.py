import copy
import math
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lm_envs.errors import ModelError, RewardError
from lm_envs.models import load_language_model, load_tokenizer
from lm_envs.rewards import Fluency, fluency, make_reward

PROMPTS = ["the lamp", "a", "", "is it good?"]
COMPLETIONS = [" was good", " bad bad bad bad bad bad", "the a", "!"]


def plain_mean(folder: str, prompt: str, completion: str) -> float:
    """One text, one pass, no padding."""
    tokenizer, model = load_tokenizer(folder), load_language_model(folder)
    before = tokenizer(prompt)["input_ids"] or [tokenizer.bos_token_id]
    after = tokenizer(completion, add_special_tokens=False)["input_ids"]
    log_probs = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
    return sum(log_probs[len(before) - 1 + i, token].item() for i, token in enumerate(after)) / len(after)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_batched_equals_one_by_one(lm_folder: str, batch_size: int) -> None:
    values = Fluency(lm_folder, scale="raw", batch_size=batch_size)(PROMPTS, COMPLETIONS)
    expected = [plain_mean(lm_folder, p, c) for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    assert values == pytest.approx(expected, abs=1e-5)
    assert len({round(value, 3) for value in values}) == 4


def test_little_memory_gives_the_same(lm_folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Fluency(lm_folder)(PROMPTS, COMPLETIONS)
    monkeypatch.setattr(fluency, "LOGITS_AT_ONCE", 1)
    assert Fluency(lm_folder)(PROMPTS, COMPLETIONS) == pytest.approx(whole, abs=1e-6)


def test_scales(lm_folder: str) -> None:
    raw, probability, normalized = (
        Fluency(lm_folder, scale=scale)(PROMPTS, COMPLETIONS) for scale in ("raw", "probability", "normalized")
    )
    assert probability == pytest.approx([math.exp(m) for m in raw])
    assert normalized == pytest.approx([max(0.0, 1 + m / math.log(64)) for m in raw])


@pytest.mark.parametrize(("scale", "low"), [("normalized", 0.0), ("probability", 0.0), ("raw", -20.0)])
@pytest.mark.parametrize("nothing", ["", "  ", None])
def test_empty_is_the_minimum(lm_folder: str, scale: str, low: float, nothing: str | None) -> None:
    assert Fluency(lm_folder, scale=scale)(["the"], [nothing]) == [low]


class TestIds:
    def test_own_tokens_are_used_with_the_end(self, lm_folder: str) -> None:
        tokenizer = load_tokenizer(lm_folder)
        ids = [*tokenizer(" was good")["input_ids"], tokenizer.eos_token_id]
        before = tokenizer("the lamp")["input_ids"]
        ((_, scored),) = pairs = [
            fluency._token_pair(tokenizer, 64, "the lamp", " was good", before, ids),
        ]
        assert scored == ids
        value = Fluency(lm_folder, scale="raw")(["the lamp"], [" was good"], prompt_ids=[before], completion_ids=[ids])
        assert value == fluency.mean_log_probs(load_language_model(lm_folder), pairs, 1)
        assert value != Fluency(lm_folder, scale="raw")(["the lamp"], [" was good"])

    @pytest.mark.parametrize("foreign", [[7, 8, 9], [50_000], []])
    def test_tokens_of_another_model_are_not_used(self, lm_folder: str, foreign: list[int]) -> None:
        with_ids = Fluency(lm_folder)(["the"], [" good"], prompt_ids=[[60_000]], completion_ids=[foreign])
        assert with_ids == Fluency(lm_folder)(["the"], [" good"])


def test_long_texts_lose_their_beginning(lm_folder: str) -> None:
    value = Fluency(lm_folder, scale="raw")(["x" * 1000], [" good"])
    assert value == pytest.approx(Fluency(lm_folder, scale="raw")(["x" * 255], [" good"]), abs=1e-4)
    assert math.isfinite(Fluency(lm_folder, scale="raw")(["a"], ["x" * 1000])[0])


def chain_model(monkeypatch: pytest.MonkeyPatch, tokenizer: Any) -> None:
    """A language model that is certain that after each token comes the next one."""

    def forward(input_ids: torch.Tensor, **_: Any) -> Any:
        logits = torch.full((*input_ids.shape, 64), -100.0)
        return SimpleNamespace(logits=logits.scatter(2, ((input_ids + 1) % 64)[..., None], 0.0))

    forward.device = "cpu"  # type: ignore[attr-defined]
    config = SimpleNamespace(vocab_size=64)
    config.get_text_config = lambda: config
    forward.config = config  # type: ignore[attr-defined]
    monkeypatch.setattr("lm_envs.models.load_language_model", lambda *args, **options: forward)
    monkeypatch.setattr("lm_envs.models.load_tokenizer", lambda name: tokenizer)


@pytest.mark.parametrize(("scale", "low"), [("normalized", 0.0), ("probability", 0.0), ("raw", -20.0)])
def test_gold_is_the_maximum(scale: str, low: float, small_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chain_model(monkeypatch, small_tokenizer)
    high = 0.0 if scale == "raw" else 1.0
    assert Fluency(scale=scale)(["a", "a"], ["bcdefg", "gfedcb"]) == pytest.approx([high, low], abs=1e-12)


class TestModel:
    def test_left_open_is_the_environments(self) -> None:
        assert Fluency().for_environment("smollm2-135m", "cuda") == Fluency("smollm2-135m", device="cuda")
        chosen = Fluency("tiny", device="cpu")
        assert chosen.for_environment("smollm2-135m", "cuda") == chosen

    def test_pickle_and_copy_leave_the_weights_behind(self, lm_folder: str) -> None:
        reward = Fluency(lm_folder)
        values = reward(PROMPTS, COMPLETIONS)
        assert len(pickle.dumps(reward)) < 2000
        for twin in (pickle.loads(pickle.dumps(reward)), copy.deepcopy(reward)):
            assert "_held" not in vars(twin)
            assert twin == reward
            assert twin(PROMPTS, COMPLETIONS) == values

    def test_loaded_once(self, random_lm_folder: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
        reads = []
        from lm_envs.models import loading

        read = loading.read_model

        def counted(*args: Any) -> Any:
            reads.append(args)
            return read(*args)

        monkeypatch.setattr(loading, "read_model", counted)
        reward = Fluency(random_lm_folder("llama", seed=77))
        reward(PROMPTS, COMPLETIONS)
        reward(PROMPTS, COMPLETIONS)
        assert len(reads) == 1

    def test_unknown_model_is_passed_on(self) -> None:
        with pytest.raises((ModelError, RewardError), match="nowhere"):
            make_reward("fluency:model=./nowhere")(["a"], ["b"])

    def test_the_embedded_model_prefers_english(self) -> None:
        texts = [" very good and I like it.", " it like I good and very.", " qzx vv jjk wq."]
        good, scrambled, noise = Fluency(scale="raw")(["The lamp is"] * 3, texts)
        assert good > scrambled + 2 > noise + 2
        assert Fluency()(["The lamp is"] * 3, texts) == [pytest.approx(1 + good / math.log(2048)), 0, 0]
