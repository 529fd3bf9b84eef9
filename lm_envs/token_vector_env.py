"""What the vector environments of this package have in common: rows of episodes behind ``VectorEnv``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from lm_envs.environment_arguments import RENDER_FPS, RENDER_MODES, checked_options
from lm_envs.episode_starts import EpisodeStarts
from lm_envs.episodes import Episodes
from lm_envs.errors import ConfigurationError
from lm_envs.rendering import episode_text, write_episode
from lm_envs.rendering_image import episode_image
from lm_envs.token_state import IntArray, Observation
from lm_envs.vocabulary import Vocabulary

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


class TokenVectorEnv(VectorEnv[Observation, IntArray, npt.NDArray[Any]]):
    """An environment of ``num_envs`` episodes in one pair of arrays.

    The whole behaves like ``SyncVectorEnv`` over single environments with ``AutoresetMode.SAME_STEP``: an episode that
    ends is followed by a new one in the same step; the last observation and the info are under ``final_obs`` and
    ``final_info``.

    Args:
        episodes: Episodes in ``num_envs`` rows.
        render_mode: A mode of the metadata, or None.
        group_size: How many episodes begin with each prompt that is drawn: those that begin next, in row order.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": list(RENDER_MODES),
        "render_fps": RENDER_FPS,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(self, episodes: Episodes, render_mode: str | None, group_size: int = 1) -> None:
        self.num_envs = episodes.num_rows
        self._episodes = episodes
        self._starts = EpisodeStarts(group_size)
        self._generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._seeds: list[int | None] = [None] * self.num_envs
        self.render_mode = render_mode
        self.single_observation_space = episodes.observation_space
        self.single_action_space = episodes.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens: the model's name, how many there are, which of them end a text."""
        return self._episodes.vocabulary

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The random number generator of each row."""
        return tuple(self._generator(row) for row in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """The seed of each row's generator."""
        return tuple(self._seeds[row] for row, _ in enumerate(self.np_random))

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every row.

        Args:
            seed: Row ``i`` is seeded with ``seed + i``, or with the i-th of a list; None goes on. With any seed, or
                with ``indices``, what is left of a group of episodes is dropped.
            options: ``{"indices": [...]}`` starts row ``i`` with the i-th of these prompts of the split;
                ``{"reset_mask": mask}`` restarts only the rows where the bool array ``mask`` is True.

        Raises:
            ConfigurationError: A list or mask of another length, or there is no such prompt.
            UnknownNameError: There is no such option.
        """
        given = checked_options(options, ("indices", "reset_mask"))
        seeds = self._seed_list(seed)
        rows = self._rows_to_reset(given.get("reset_mask"))
        indices = None
        if given.get("indices") is not None:
            indices = self._episodes.checked_indices(given["indices"], "indices")
            self._check_count("the reset option 'indices'", indices)
        for row in rows:
            if seeds[row] is not None:
                self._generators[row], self._seeds[row] = seeding.np_random(seeds[row])
        if indices is not None or any(seeds[row] is not None for row in rows):
            self._starts.clear()
        infos = self._begin(rows, None if indices is None else indices[rows])
        return self._episodes.observation(), self._add_infos({}, rows, infos)

    def step(self, actions: Any) -> tuple[Observation, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Perform an action in every row; rows whose episode ends begin a new one.

        Args:
            actions: Integers of the action space ``(num_envs,)``.

        Returns:
            Observation, rewards ``(num_envs,)`` float64, terminations and truncations ``(num_envs,)``
            bool, infos.

        Raises:
            InvalidActionError: An action is not in the action space; the message names the row.
            ResetNeeded: There was no reset yet, or a reward failed.
            RewardError: A reward failed.
        """
        episodes = self._episodes
        episodes.check_running()
        outcome = episodes.step(episodes.checked_actions(actions, shape=(self.num_envs,)))
        terminations = np.zeros(self.num_envs, dtype=np.bool_)
        terminations[outcome.ended] = True
        told = dict(outcome.running_infos)
        for row, info in zip(outcome.ended.tolist(), outcome.infos, strict=True):
            told[row] = {"final_obs": episodes.row_observation(row), "final_info": info}
            if self.render_mode == "human":
                write_episode(episodes.view(row, info))
        if outcome.ended.size:
            for row, info in zip(outcome.ended.tolist(), self._begin(outcome.ended), strict=True):
                told[row] |= info
        rows = sorted(told)  # the first row's values give arrays their dtype, as in SyncVectorEnv
        infos = self._add_infos({}, rows, [told[row] for row in rows])
        return episodes.observation(), outcome.rewards, terminations, np.zeros_like(terminations), infos

    def action_masks(self) -> BoolArray:
        """Which actions are legal now, a new array ``(num_envs, n_actions)`` bool; see ``TokenEnv``."""
        return self._episodes.action_masks()

    def render(self) -> tuple[Any, ...] | None:
        """The running episodes as coloured texts in the mode ``"ansi"``, as pictures in the mode ``"rgb_array"``.

        In the mode ``"human"`` each episode is printed when it ends.
        """
        if self.render_mode is None:
            gym.logger.warn('render() does nothing without a render mode: gym.make_vec(..., render_mode="ansi")')
            return None
        if not self._episodes.started:
            raise ResetNeeded("render() needs episodes: call reset() first")
        if self.render_mode == "human":
            return None
        draw = episode_image if self.render_mode == "rgb_array" else episode_text
        return tuple(draw(self._episodes.view(row)) for row in range(self.num_envs))

    def _generator(self, row: int) -> np.random.Generator:
        generator = self._generators[row]
        if generator is None:
            generator, self._seeds[row] = seeding.np_random()
            self._generators[row] = generator
        return generator

    def _begin(self, rows: IntArray, indices: npt.NDArray[np.int64] | None = None) -> list[dict[str, Any]]:
        """Begin episodes in ``rows``: what they start with is drawn unless given."""
        generators = [self._generator(row) for row in rows]
        if indices is None:
            indices, generators = self._starts.take(self._episodes.n_starts, generators)
        return self._episodes.start(rows, indices, generators)

    def _add_infos(
        self, infos: dict[str, Any], rows: IntArray | Sequence[int], added: Iterable[dict[str, Any]]
    ) -> dict[str, Any]:
        for row, info in zip(rows, added, strict=True):
            infos = self._add_info(infos, info, row)
        return infos

    def _seed_list(self, seed: int | Sequence[int | None] | None) -> Sequence[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + row for row in range(self.num_envs)]
        self._check_count("seed", seed)
        return seed

    def _rows_to_reset(self, mask: Any) -> npt.NDArray[np.intp]:
        if mask is None:
            return np.arange(self.num_envs)
        self._check_count("the reset option 'reset_mask'", mask)
        if np.asarray(mask).dtype != np.bool_ or not np.any(mask):
            raise ConfigurationError(
                f"the reset option 'reset_mask' must be a bool array with at least one True, got {mask!r}"
            )
        return np.flatnonzero(mask)

    def _check_count(self, name: str, values: Any) -> None:
        if np.shape(values) != (self.num_envs,):
            raise ConfigurationError(
                f"{name} must hold one value for each of the {self.num_envs} environments, got {values!r}"
            )
