"""What a rollout's texts were like: lengths, ends, reward terms, entropy, and a few of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import TensorBoardOutputFormat

from lm_envs.errors import ConfigurationError

BUDGETS = ("max_new_tokens", "max_turns", "max_tokens")
"""Reasons for an episode's end that mean that the agent did not end it itself."""


class RolloutLogCallback(BaseCallback):
    """Log what Stable-Baselines3 does not say about the texts of a rollout.

    Out of the infos of the episodes that ended in the rollout, under ``rollout/``: ``length_mean`` and ``length_max``
    in tokens, ``cut_off``, the share that used up a budget, ``stop/REASON``, the share of each reason, and
    ``reward/NAME``, the mean of each term of the reward, before callbacks change it. Besides ``rollout/entropy``: the
    mean of ``-log_prob`` of the actions, an unbiased estimate of the policy's entropy in nats per token. Buffers that
    compare groups of episodes add their ``group_stats`` under ``group/``. TensorBoard gets a few texts.

    Args:
        n_texts: How many texts TensorBoard gets at a time.
        texts_every: Steps from one time to the next.

    Raises:
        ConfigurationError: The algorithm has no rollout buffer.
    """

    def __init__(self, n_texts: int = 4, texts_every: int = 10_000) -> None:
        super().__init__()
        self._n_texts = n_texts
        self._texts_every = texts_every
        self._texts_at: int | None = None
        self._reasons: set[str] = set()
        self._ended: list[Mapping[str, Any]] = []

    def _init_callback(self) -> None:
        if getattr(self.model, "rollout_buffer", None) is None:
            raise ConfigurationError(
                f"RolloutLogCallback needs an on-policy algorithm; {type(self.model).__name__} has no rollout buffer."
            )

    def _on_rollout_start(self) -> None:
        self._ended.clear()

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        self._ended += [infos[env] for env in np.flatnonzero(self.locals["dones"]) if "stop_reason" in infos[env]]
        return True

    def _on_rollout_end(self) -> None:
        buffer = self.locals["rollout_buffer"]
        self.logger.record("rollout/entropy", -float(buffer.log_probs.mean()))
        for name, value in getattr(buffer, "group_stats", {}).items():
            self.logger.record(f"group/{name}", value)
        if self._ended:
            self._log_episodes()
            self._log_texts()

    def _log_episodes(self) -> None:
        record = self.logger.record
        lengths = [info["n_new_tokens"] for info in self._ended]
        record("rollout/length_mean", float(np.mean(lengths)))
        record("rollout/length_max", int(max(lengths)))
        reasons = [info["stop_reason"] for info in self._ended]
        self._reasons |= set(reasons)
        for reason in sorted(self._reasons):
            record(f"rollout/stop/{reason}", reasons.count(reason) / len(reasons))
        record("rollout/cut_off", sum(reason in BUDGETS for reason in reasons) / len(reasons))
        for name in self._ended[0]["reward_terms"]:
            values = [info["reward_terms"][name] for info in self._ended]
            record(f"rollout/reward/{name}", float(np.mean(values)))

    def _log_texts(self) -> None:
        steps = self.model.num_timesteps
        if self._texts_at is not None and steps - self._texts_at < self._texts_every:
            return
        self._texts_at = steps
        text = "\n\n".join(map(_markdown, self._ended[: self._n_texts]))
        for output in self.logger.output_formats:
            if isinstance(output, TensorBoardOutputFormat):
                output.writer.add_text("rollout/texts", text, steps)


def _markdown(info: Mapping[str, Any]) -> str:
    """One episode; indented, so that the text is shown letter by letter."""
    reward = sum(info["reward_terms"].values())
    lines = f"{info['prompt']}\n{info['completion']}".splitlines()
    head = f"reward {reward:.3f}, {info['n_new_tokens']} tokens, {info['stop_reason']}"
    return "\n".join([head, "", *(f"    {line}" for line in lines)])
