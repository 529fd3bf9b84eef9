"""When episodes end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from lm_envs.errors import ConfigurationError
from lm_envs.stopping import STOP_REASONS, StopRule, stop_strings
from lm_envs.token_state import TokenState
from lm_envs.vocabulary import Vocabulary, load_vocabulary


def play(vocabulary: Vocabulary, strings: tuple[str, ...], tokens: list[int], budget: int = 64) -> tuple[int, str]:
    """Append ``tokens`` one by one; the number of steps until the end, and the reason."""
    rule = StopRule(vocabulary, strings, budget)
    state = TokenState(1, 2 + budget, vocabulary.pad_id)
    state.start(np.array([0]), np.array([[5, 6]]), np.array([2]))
    for step, token in enumerate(tokens):
        action = np.array([token])
        state.append(action)
        reason = STOP_REASONS[rule.reasons(state, action)[0]]
        if reason:
            return step + 1, reason
    return len(tokens), ""


@pytest.mark.parametrize(
    ("text", "stop"),
    [
        ("The lamp is good. I like it", "."),
        ("This is the END of story", "END"),
        ("A line\nanother line", "\n"),
        ("the café is très bon", "é"),
        ("the café is très bon", "très "),
        ("one two  three", "  "),
        ("old man; he read it", "man; he"),
    ],
)
def test_stops_with_the_token_that_completes_the_string(stand_in: str, text: str, stop: str) -> None:
    vocabulary = load_vocabulary(stand_in)
    tokens: list[int] = vocabulary.tokenizer(text)["input_ids"]
    decoded = [vocabulary.decode([tokens[:n]])[0] for n in range(1, len(tokens) + 1)]
    expected = next(n for n, start in enumerate(decoded, start=1) if stop in start)
    assert play(vocabulary, ("never", stop), tokens) == (expected, "stop")


def test_special_and_unknown_tokens_inside_a_stop_string(stand_in: str) -> None:
    vocabulary = load_vocabulary(stand_in)
    tokenizer = vocabulary.tokenizer
    e, n, d = (tokenizer.convert_tokens_to_ids(letter) for letter in "END")
    silent = [tokenizer.pad_token_id, len(tokenizer) + 1] * 4
    assert play(vocabulary, ("END",), [e, *silent, n, *silent, d]) == (3 + 2 * len(silent), "stop")


def test_no_stop_in_the_prompt(stand_in: str) -> None:
    vocabulary = load_vocabulary(stand_in)
    rule = StopRule(vocabulary, ("lamp",), 8)
    prompt: list[int] = vocabulary.tokenizer("The lamp")["input_ids"]
    state = TokenState(1, len(prompt) + 8, vocabulary.pad_id)
    state.start(np.array([0]), np.array([prompt]), np.array([len(prompt)]))
    action = np.array([vocabulary.tokenizer.convert_tokens_to_ids("p")])
    state.append(action)
    assert rule.reasons(state, action).tolist() == [0]


def test_decodes_only_candidates(stand_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = load_vocabulary(stand_in)
    tokens: list[int] = vocabulary.tokenizer("she wrote a short letter to the old man")["input_ids"]
    play(vocabulary, ("#",), tokens)  # fills the cache
    decoded: list[Any] = []
    monkeypatch.setattr(Vocabulary, "decode", lambda self, ids: decoded.append(ids) or [""])
    assert play(vocabulary, ("#",), tokens) == (len(tokens), "")
    assert decoded == []


def metaspace_model(folder: Path) -> str:
    """Words with a space in front, which the decoder strips from a text's first word, as Llama 2's does."""
    words = {f"▁{word}": i for i, word in enumerate(("the", "end", "is", "near"))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="▁is"))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    LlamaConfig(vocab_size=4, architectures=["LlamaForCausalLM"]).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("stop", "end"), [("the end", (4, "stop")), (" end", (4, "stop")), (" ", (2, "stop")), ("end ", (4, ""))]
)
def test_decoder_that_strips_the_first_space(tmp_path: Path, stop: str, end: tuple[int, str]) -> None:
    vocabulary = load_vocabulary(metaspace_model(tmp_path))
    assert vocabulary.decode([[3, 2, 0, 1]]) == ["near is the end"]
    assert play(vocabulary, (stop,), [3, 2, 0, 1]) == end


def test_budget_and_precedence(stand_in: str) -> None:
    vocabulary = load_vocabulary(stand_in)
    tokenizer = vocabulary.tokenizer
    dot = tokenizer.convert_tokens_to_ids(".")
    assert play(vocabulary, (), [dot] * 3, budget=3) == (3, "max_new_tokens")
    assert play(vocabulary, ("...",), [dot] * 3, budget=3) == (3, "stop")
    assert play(vocabulary, ("...",), [dot, dot, tokenizer.eos_token_id], budget=3) == (3, "eos")


def test_cut_at_the_first_stop_string(stand_in: str) -> None:
    rule = StopRule(load_vocabulary(stand_in), ("END", "."), 3)
    assert rule.cut("It is. So END") == "It is"
    assert rule.cut("no stop") == "no stop"


@pytest.mark.parametrize(("stop", "expected"), [(None, ()), ("a", ("a",)), (["a", "b"], ("a", "b")), ((), ())])
def test_stop_argument(stop: Any, expected: tuple[str, ...]) -> None:
    assert stop_strings(stop) == expected


@pytest.mark.parametrize("stop", ["", ["a", ""], [3], 5])
def test_bad_stop_argument(stop: Any) -> None:
    with pytest.raises(ConfigurationError, match="stop must be a string or a list of strings"):
        stop_strings(stop)
