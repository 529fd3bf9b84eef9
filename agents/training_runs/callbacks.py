"""What happens beside the learning: samples, checkpoints, validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from agents.callbacks.kl_stop import StopOnKL
from agents.callbacks.reference_kl import ReferenceKLCallback
from agents.evaluation import evaluate
from agents.evaluation.generation import Completion, complete
from agents.evaluation.prompts import choose_prompts
from agents.policies.value_policies import is_value_policy
from agents.recipes.train_config import TrainConfig
from agents.training_runs.checkpoints import save_checkpoint, save_model
from agents.training_runs.logs import STEP_COLUMN, JsonLinesLog


class _BetweenUpdates(BaseCallback):
    """Acts between two iterations of the algorithm, when ``every`` steps have passed since it acted last.

    ``on_rollout_start`` is the one moment when weights, optimizer and step count belong together.
    """

    def __init__(self, every: int) -> None:
        super().__init__()
        self._every = every
        self._acted_at: int | None = None

    def _on_rollout_start(self) -> None:
        steps = self.model.num_timesteps
        if self._acted_at is None or steps - self._acted_at >= self._every:
            self._acted_at = steps
            self.act()

    def _on_step(self) -> bool:
        return True

    def go_on(self, acted_at: int) -> None:
        """Count from there: the run is a resumed one."""
        self._acted_at = acted_at

    def act(self) -> None:
        """Do what is to be done."""
        raise NotImplementedError


class _OnValidationPrompts(_BetweenUpdates):
    """Acts on completions of the same validation prompts, always with the same seed; greedy ones of value policies.

    Args:
        config: The run's settings.
        every: Steps between completions.
        n_prompts: Number of prompts.
        seed: Chooses the prompts and seeds the sampling.
    """

    def __init__(self, config: TrainConfig, every: int, n_prompts: int, seed: int) -> None:
        super().__init__(every)
        self._config = config
        self._seed = seed
        self._indices = choose_prompts(
            config.evaluation_kwargs(), "validation", n_prompts, seed, config.env_id
        ).tolist()

    def complete(self) -> list[Completion]:
        """One completion for each prompt."""
        policy: Any = self.model.policy
        return complete(
            policy,
            self._config.env_id,
            self._config.evaluation_kwargs(),
            wrapper_class=self._config.wrapper(),
            indices=self._indices,
            split="validation",
            seed=self._seed,
            deterministic=is_value_policy(policy),
        )


class SampleCallback(_OnValidationPrompts):
    """Log completions of a few validation prompts.

    Args:
        log: Where to.
        config: The run's settings.
        every: Steps between samples.
        n_prompts: Number of prompts.
        seed: Chooses the prompts and seeds the sampling.
    """

    def __init__(self, log: JsonLinesLog, config: TrainConfig, every: int, n_prompts: int = 8, seed: int = 0) -> None:
        super().__init__(config, every, n_prompts, seed)
        self._log = log

    def act(self) -> None:
        """Sample and write."""
        self._log.append([{"step": self.model.num_timesteps, **item.to_dict()} for item in self.complete()])

    def _on_training_end(self) -> None:
        if self._acted_at != self.model.num_timesteps:
            self.act()


class ValidationCallback(_BetweenUpdates):
    """Log every metric of :func:`agents.evaluation.metrics.evaluate` on validation prompts, as ``eval/METRIC``.

    Args:
        config: The run's settings.
        every: Steps between evaluations.
        n_prompts: Number of prompts.
        seed: Chooses the prompts and seeds the sampling.
    """

    def __init__(self, config: TrainConfig, every: int, n_prompts: int = 128, seed: int = 0) -> None:
        super().__init__(every)
        self._config = config
        self._n_prompts = n_prompts
        self._seed = seed

    def act(self) -> None:
        """Evaluate and log; the row is written at once, so that it stands at its own step."""
        policy: Any = self.model.policy
        result = evaluate(
            policy,
            self._config.env_id,
            self._config.evaluation_kwargs(),
            wrapper_class=self._config.wrapper(),
            split="validation",
            n_prompts=self._n_prompts,
            seed=self._seed,
            deterministic=is_value_policy(policy),
        )
        for name, estimate in result.metrics.items():
            self.logger.record(f"eval/{name}", estimate.mean)
        self.logger.record(STEP_COLUMN, self.model.num_timesteps)
        self.logger.dump(self.model.num_timesteps)

    def _on_training_end(self) -> None:
        if self._acted_at != self.model.num_timesteps:
            self.act()


class EarlyStopping(_OnValidationPrompts):
    """Stop when the reward on validation prompts has not improved for some evaluations; keep the best weights.

    Logs ``eval/reward`` and ``eval/best_reward``.

    Args:
        patience: Evaluations without a new best after which training stops.
        best: Where the best model is saved.
        config: The run's settings.
        every: Steps between evaluations.
        n_prompts: Number of prompts.
        seed: Chooses the prompts and seeds the sampling.

    Attributes:
        best_reward: The best mean reward so far; None before the first evaluation.
        n_worse: Evaluations since then.
        stopped: Whether training has been stopped.
    """

    def __init__(
        self, patience: int, best: Path, config: TrainConfig, every: int, n_prompts: int = 128, seed: int = 0
    ) -> None:
        super().__init__(config, every, n_prompts, seed)
        self._patience = patience
        self._best = best
        self.best_reward: float | None = None
        self.n_worse = 0
        self.stopped = False

    def act(self) -> None:
        """Evaluate; save the model if it is the best so far."""
        reward = float(np.mean([item.reward for item in self.complete()]))
        if self.best_reward is None or reward > self.best_reward:
            self.best_reward, self.n_worse = reward, 0
            save_model(self.model, self._best)
        else:
            self.n_worse += 1
            self.stopped = self.n_worse >= self._patience
        self.logger.record("eval/reward", reward)
        self.logger.record("eval/best_reward", self.best_reward)

    def _on_step(self) -> bool:
        return not self.stopped

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"best_reward": self.best_reward, "n_worse": self.n_worse, "acted_at": self._acted_at}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self.best_reward, self.n_worse = state["best_reward"], state["n_worse"]
        self._acted_at = state["acted_at"]
        self.stopped = self.n_worse >= self._patience


class CheckpointCallback(_BetweenUpdates):
    """Save checkpoints from which the run can go on.

    Args:
        folder: Where to.
        every: Steps between checkpoints; the first is at step 0.
        kl: The callback whose coefficient is kept, if there is one.
        early_stopping: The callback whose state is kept, if there is one.
        kl_stop: Likewise.
    """

    def __init__(
        self,
        folder: Path,
        every: int,
        kl: ReferenceKLCallback | None = None,
        early_stopping: EarlyStopping | None = None,
        kl_stop: StopOnKL | None = None,
    ) -> None:
        super().__init__(every)
        self._folder = folder
        self._kl = kl
        self._early_stopping = early_stopping
        self._kl_stop = kl_stop

    def act(self) -> None:
        """Save one."""
        state: dict[str, Any] = {"num_timesteps": self.model.num_timesteps}
        if self._kl is not None:
            state["kl_coef"] = self._kl.coef
        if self._early_stopping is not None:
            state["early_stopping"] = self._early_stopping.state()
        if self._kl_stop is not None:
            state["kl_stop"] = self._kl_stop.state()
        save_checkpoint(self.model, self._folder, state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the checkpoint with ``state`` was saved."""
        if self._kl is not None:
            self._kl.coef = state["kl_coef"]
        self.go_on(state["num_timesteps"])
        if self._early_stopping is not None and "early_stopping" in state:
            self._early_stopping.restore(state["early_stopping"])
        if self._kl_stop is not None and "kl_stop" in state:
            self._kl_stop.restore(state["kl_stop"])

    def _on_training_end(self) -> None:
        if self._acted_at != self.model.num_timesteps:
            self.act()


def callback_list(*callbacks: BaseCallback | None) -> Sequence[BaseCallback]:
    """The callbacks that there are, in order."""
    return [callback for callback in callbacks if callback is not None]
