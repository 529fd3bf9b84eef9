"""Stand-in models with the chat templates of well-known families, without weights; and users of a shop, with acts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from lm_envs.dialogue.partners import Acts, Message, Opening, Partners, Reply

CORPUS = [
    "I would like a table for two on Friday at seven. The lamp that I bought is broken, and I want to return it.",
    "What time do you open on Sunday? We open at nine. Thank you, goodbye! User: Agent: System: café ☕",
]

# As in SmolLM2-135M-Instruct: a default system message, turns between two special tokens.
CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# As in Llama-2: the system message is a part of the user's first turn, answers stand between spaces, texts are trimmed.
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set system = messages[0]['content'] %}"
    "{% else %}{% set turns = messages %}{% set system = false %}{% endif %}{% for message in turns %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% if loop.first and system %}{% set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
# Turns between words, not between special tokens.
PLAIN = (
    "{% for m in messages %}{{ {'user': 'User', 'assistant': 'Agent', 'system': 'System'}[m['role']] + ': ' }}"
    "{{ m['content'] + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'Agent:' }}{% endif %}"
)
CHAT_TEMPLATES = {"chatml": CHATML, "llama2": LLAMA2, "plain": PLAIN}
_ENDS = {"chatml": "<|im_end|>", "llama2": "</s>"}
SPECIAL = ["<|endoftext|>", "<|pad|>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]


def save_chat_model(folder: Path, template: str | None, eos: str = "<|endoftext|>") -> str:
    """Save a byte-level BPE tokenizer of 400 tokens with a chat template, and a Llama configuration."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    backend.train_from_iterator(CORPUS * 3, trainer)
    backend.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token=eos, pad_token="<|pad|>", bos_token="<s>", chat_template=template
    )
    tokenizer.save_pretrained(folder)
    LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1,
        max_position_embeddings=1024, eos_token_id=tokenizer.eos_token_id, architectures=["LlamaForCausalLM"],
    ).save_pretrained(folder)  # fmt: skip
    return str(folder)


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """``chat_model(name)``: the folder of the stand-in with a chat template, or ``"tiny"``."""
    folders = {"tiny": "tiny"}

    def save(name: str) -> str:
        if name not in folders:
            folder = tmp_path_factory.mktemp(name)
            folders[name] = save_chat_model(folder, CHAT_TEMPLATES[name], _ENDS.get(name, "<|endoftext|>"))
        return folders[name]

    return save


@pytest.fixture
def model_with(tmp_path: Path) -> Callable[[str | None], str]:
    """``model_with(template)``: the folder of the stand-in with this chat template."""
    return lambda template: save_chat_model(tmp_path, template)


@pytest.fixture(scope="session", params=["tiny", *CHAT_TEMPLATES])
def chat_folder(request: pytest.FixtureRequest, chat_model: Callable[[str], str]) -> str:
    """Models with each of the chat templates in turn."""
    return chat_model(request.param)


GOODS = ("a lamp", "a table", "two chairs", "tea", "a very long red sofa for the house of my mother")


class ShopActs(Acts):
    """Three acts of a seller; the state tells what the last one was."""

    names = ("ask", "offer", "close")
    state_size = 4

    def __init__(self, num_rows: int) -> None:
        self.last = np.zeros((num_rows, 4), dtype=np.int8)

    def phrase(self, row: int, act: int, rng: np.random.Generator) -> str:
        self.last[row] = 0
        self.last[row, act] = 1
        return ("What do you want?", f"I have {GOODS[rng.integers(len(GOODS))]}.", "Bye.<|endofturn|>")[act]

    def state(self, row: int) -> Any:
        return self.last[row].copy()


class Shop(Partners):
    """Customers who say random things of random length, and leave at random; all that they tell is of another type."""

    columns = ("goods",)
    n_scenarios = 7

    def __init__(self, num_rows: int, split: str = "train", leaves: int = 8, longest: int = 9) -> None:
        self.leaves, self.longest = leaves, longest
        self.acts = ShopActs(num_rows)
        self.rngs: list[Any] = [None] * num_rows
        self.turns = [0] * num_rows

    def open(self, rows: Sequence[int], scenarios: Sequence[int], rngs: Sequence[np.random.Generator]) -> list[Opening]:
        openings = []
        for row, scenario, rng in zip(rows, scenarios, rngs, strict=True):
            self.rngs[row], self.turns[row], goods = rng, 0, GOODS[scenario % len(GOODS)]
            self.acts.last[row] = (0, 0, 0, 1)
            said = Message(role="user", content=f"I want {goods}, number {rng.integers(100)}.")
            openings.append(Opening([said], {"goods": goods}, {"day": int(rng.integers(7)), "state": {"wants": goods}}))
        return openings

    def reply(self, rows: Sequence[int], histories: Sequence[list[Message]]) -> list[Reply]:
        return [self._reply(row) for row in rows]

    def _reply(self, row: int) -> Reply:
        rng = self.rngs[row]
        self.turns[row] += 1
        drawn = int(rng.integers(self.leaves))
        info = {
            "user_act": ["inform", str(drawn)], "state": {"wants": GOODS[drawn % 5], "left": drawn}, "angry": drawn > 2,
            "day": drawn / 2 if drawn % 2 else drawn, "turns": np.int64(self.turns[row]), "mood": np.ones(2) * drawn,
        }  # fmt: skip
        if drawn < 2:
            return Reply(("Thank you!", "")[drawn], True, {"score": 1.0 - drawn}, drawn == 0, info)
        return Reply(f"Not {drawn}, please. " * int(rng.integers(1, self.longest)), False, {"score": 0.25}, None, info)


@pytest.fixture
def shop() -> type[Shop]:
    """Partners for many conversations, with dialogue acts."""
    return Shop
