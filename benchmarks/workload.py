"""The work that every system of the throughput benchmark does: same weights, same prompts, same number of tokens."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RANDOM_MODELS = {  # Llamas with random weights: hidden size, layers
    "random": (128, 4),  # tiny's size, 1.0M
    "random-0.2m": (64, 2),
    "random-4m": (256, 5),
    "random-11m": (384, 6),
    "random-31m": (512, 10),
}
RANDOM_CONTEXT = 4096


@dataclass(frozen=True)
class Workload:
    """One iteration: a rollout, its scoring under the reference, one epoch of updates.

    For DQN the updates draw as many transitions from the replay buffer as the rollout has collected, and nothing is
    scored.

    Attributes:
        model: Folder made by :func:`prepare_model`.
        prompt_tokens: Length of every prompt.
        new_tokens: Tokens generated in every episode; no token ends one earlier.
        n_envs: Episodes generated side by side.
        minibatch: PPO's episodes in a minibatch; divides ``n_envs``.
        device: A torch device.
        dtype: ``"float32"`` or ``"bfloat16"``.
        threads: Threads and cores of a measuring process; 0 leaves both alone.
        seed: Seed of prompts and sampling.
        warmup: Iterations before the clock counts (the textbook system has none: its iterations are long).
        measured_tokens: As many iterations count as generate this many tokens (of the textbook system, one does).
        kl_coef: Coefficient of the KL penalty; None leaves the reference out everywhere.
        textbook_transitions: The textbook system's rollout and update are measured on at most about this many
            transitions.
        textbook_tokens: Most tokens, padding included, in a minibatch of PPO's textbook system.
        algorithm: ``"ppo"``, ``"dqn"``, or ``"dialogue"``: PPO with turns.
        batch_size: DQN's transitions in a gradient step; divides ``n_envs * new_tokens``.
        prefill: DQN's rollouts of random tokens before anything is measured.
        replay_transitions: Capacity, in transitions, of the replay buffers whose memory is measured.
        n_turns: Turns of the agent in a dialogue; divides ``new_tokens``.
        user_tokens: Tokens of every turn of the user in a dialogue.
        processor_time: Whether the seconds of PPO and its peers are processor time: with one thread that is about the
            time of a machine on which nobody else is busy.
    """

    model: str
    prompt_tokens: int
    new_tokens: int
    n_envs: int = 64
    minibatch: int = 16
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    seed: int = 0
    warmup: int = 1
    measured_tokens: int = 32_768
    kl_coef: float | None = 0.05
    textbook_transitions: int = 2048
    textbook_tokens: int = 65_536
    algorithm: str = "ppo"
    batch_size: int = 512
    prefill: int = 4
    replay_transitions: int = 100_000
    n_turns: int = 8
    user_tokens: int = 8
    processor_time: bool = False

    def __post_init__(self) -> None:
        """Check what would otherwise be measured wrongly."""
        for name in ("prompt_tokens", "new_tokens", "n_envs", "minibatch", "measured_tokens", "batch_size", "prefill"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.algorithm != "dqn" and self.n_envs % self.minibatch:
            raise ValueError(f"minibatch must divide n_envs={self.n_envs}, got {self.minibatch}")
        if self.algorithm == "dqn" and self.tokens % self.batch_size:
            raise ValueError(f"batch_size must divide n_envs * new_tokens={self.tokens}, got {self.batch_size}")
        if self.algorithm == "dialogue" and self.new_tokens % self.n_turns:
            raise ValueError(f"n_turns must divide new_tokens={self.new_tokens}, got {self.n_turns}")

    @property
    def tokens(self) -> int:
        """Tokens generated in an iteration."""
        return self.n_envs * self.new_tokens

    @property
    def clock(self) -> Callable[[], float]:
        """What the systems of the PPO comparison are timed with."""
        return time.process_time if self.processor_time else time.perf_counter

    @property
    def iterations(self) -> int:
        """Iterations that count."""
        return -(-self.measured_tokens // self.tokens)

    def prompts(self) -> np.ndarray:
        """Random prompts ``(n_envs, prompt_tokens)`` int64."""
        size = vocabulary_size(self.model)
        return np.random.default_rng(self.seed).integers(size, size=(self.n_envs, self.prompt_tokens))

    def make_venv(self, group_size: int = 1, **wrapper: Any) -> Any:
        """The environment for Stable-Baselines3: prompts of exact length, a cheap reward, no early end.

        Args:
            group_size: How many episodes a prompt is handed out to.
            **wrapper: ``wrapper_class`` and ``wrapper_kwargs`` of :func:`~agents.make_lm_vec_env`.
        """
        from agents import make_lm_vec_env
        from lm_envs.data import PromptDataset

        env_kwargs = {
            "model": self.model,
            "dataset": PromptDataset([" ".join(f"t{token}" for token in row) for row in self.prompts()]),
            "reward": even_share,
            "max_prompt_tokens": self.prompt_tokens,
            "max_new_tokens": self.new_tokens,
            **({"group_size": group_size} if group_size > 1 else {}),
        }
        return make_lm_vec_env("TextGen-v0", self.n_envs, seed=self.seed, env_kwargs=env_kwargs, **wrapper)


def even_share(prompts: list[str], completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
    """A reward that costs next to nothing: the share of even token ids."""
    return [1.0 - sum(token & 1 for token in ids) / len(ids) for ids in completion_ids]


def prepare_model(name: str, folder: Path) -> str:
    """Save a model's weights with a vocabulary of numbered tokens, none of which ends a text.

    With it prompts of any length can be written as text (``"t5 t0 t17"``), and every episode uses its whole budget.

    Args:
        name: Alias, hub id or folder; or one of ``RANDOM_MODELS``, ``"random"`` for a Llama of tiny's size.
        folder: Where to save.

    Returns:
        ``folder`` as a string.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from lm_envs.models.quiet import quiet_transformers

    model = _random_model(*RANDOM_MODELS[name]) if name in RANDOM_MODELS else _pretrained_model(name)
    for config in (model.config, model.generation_config):
        config.eos_token_id = config.bos_token_id = config.pad_token_id = None
    with quiet_transformers(progress_bars=False):
        model.save_pretrained(folder)
    vocabulary = {f"t{token}": token for token in range(model.config.vocab_size)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="t0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return str(folder)


def vocabulary_size(folder: str) -> int:
    """Number of tokens of a saved model."""
    from transformers import AutoConfig

    return int(AutoConfig.from_pretrained(folder).vocab_size)


def _pretrained_model(name: str) -> Any:
    from lm_envs.models import load_language_model

    return copy.deepcopy(load_language_model(name))  # everybody who loads it shares one instance


def parameter_count(folder: str) -> int:
    """Number of weights in a saved model's files, where tied ones are once."""
    from safetensors import safe_open

    count = 0
    for file in Path(folder).glob("*.safetensors"):
        with safe_open(file, "numpy") as weights:
            count += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())
    return count


def _random_model(hidden_size: int, layers: int) -> Any:
    """A Llama with heads of 32, four of which share a key/value head."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    heads = hidden_size // 32
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=2048,
            hidden_size=hidden_size,
            intermediate_size=3 * hidden_size,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=max(1, heads // 4),
            max_position_embeddings=RANDOM_CONTEXT,
            tie_word_embeddings=True,
        )
    )
