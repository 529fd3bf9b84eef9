"""Stand-in models for the tests of environments: a tokenizer and a configuration, no weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, PreTrainedTokenizerFast

CORPUS = [
    "The lamp is good. I like the big red lamp a lot! It was bad, but now it is great.",
    "This chair was awful. The table is fine and the café is très bon. END of story.\nNew line.",
    "She wrote a short letter to the old man; he read it twice and smiled.",
]


def save_stand_in(folder: Path, *, bos: bool = False, vocab_size: int | None = None, positions: int = 128) -> str:
    """Save a byte-level BPE tokenizer and a Llama configuration; return the folder."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|pad|>", "<|turn|>", *(["<s>"] if bos else [])]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS * 3, trainers.BpeTrainer(vocab_size=360, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        pad_token="<|pad|>",
        bos_token="<s>" if bos else None,
    )
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=vocab_size or len(fast), hidden_size=8, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=1, max_position_embeddings=positions, architectures=["LlamaForCausalLM"],
    )  # fmt: skip
    config.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model folder whose vocabulary has 7 more entries than its tokenizer knows."""
    folder = tmp_path_factory.mktemp("stand_in")
    return save_stand_in(folder, vocab_size=367)


@pytest.fixture(scope="session")
def stand_in_with_bos(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model folder whose tokenizer puts a begin-of-text token in front."""
    return save_stand_in(tmp_path_factory.mktemp("stand_in_with_bos"), bos=True)
