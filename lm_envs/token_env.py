"""What the single environments of this package have in common: one row of episodes behind ``gymnasium.Env``."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded

from lm_envs.dialogue.partners.protocol import Message
from lm_envs.environment_arguments import RENDER_FPS, RENDER_MODES, checked_options
from lm_envs.episode_starts import EpisodeStarts
from lm_envs.episodes import Episodes
from lm_envs.rendering import EpisodeStream, EpisodeView, episode_text
from lm_envs.rendering_image import episode_image
from lm_envs.token_state import Observation
from lm_envs.vocabulary import Vocabulary

_ROW = np.zeros(1, dtype=np.int64)


class TokenEnv(gym.Env[Observation, np.int64]):
    """An environment of one episode at a time.

    Args:
        episodes: Episodes in one row.
        render_mode: A mode of the metadata, or None.
        group_size: How many consecutive episodes begin with each prompt that is drawn.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": list(RENDER_MODES),
        "render_fps": RENDER_FPS,
    }

    def __init__(self, episodes: Episodes, render_mode: str | None, group_size: int = 1) -> None:
        self._episodes = episodes
        self._starts = EpisodeStarts(group_size)
        self._final_view: EpisodeView | None = None
        self._stream = EpisodeStream()
        self.render_mode = render_mode
        self.observation_space = episodes.observation_space  # type: ignore[assignment]
        self.action_space = episodes.action_space

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens: the model's name, how many there are, which of them end a text."""
        return self._episodes.vocabulary

    @property
    def messages(self) -> list[Message]:
        """What has been said in the episode so far, as chat messages; a prompt is the user's."""
        pieces = [piece for piece in self._episodes.view(0).pieces if piece.text or not piece.by_agent]
        return [Message(role="assistant" if piece.by_agent else "user", content=piece.text) for piece in pieces]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Starts the random numbers anew. With a seed, or with ``index``, what is left of a group of episodes
                is dropped.
            options: ``{"index": i}`` starts with prompt (or scenario) ``i`` of the split.

        Returns:
            The observation and an info.

        Raises:
            ConfigurationError: There is no such prompt.
            UnknownNameError: There is no such option.
        """
        super().reset(seed=seed)
        chosen = checked_options(options, ("index",)).get("index")
        if chosen is not None or seed is not None:
            self._starts.clear()
        generators = [self.np_random]
        if chosen is None:
            index, generators = self._starts.take(self._episodes.n_starts, generators)
        else:
            index = self._episodes.checked_indices([chosen], "index")
        (info,) = self._episodes.start(_ROW, index, generators)
        self._final_view = None
        if self.render_mode == "human":
            self._stream.start(self._episodes.view(0))
        return self._episodes.row_observation(0), info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Perform an action.

        Args:
            action: An integer of the action space.

        Raises:
            InvalidActionError: The action is not in the action space.
            ResetNeeded: No episode is running.
            RewardError: The reward failed.
        """
        self._episodes.check_running()
        outcome = self._episodes.step(self._episodes.checked_actions(action, shape=()))
        terminated = bool(outcome.ended.size)
        info = outcome.infos[0] if terminated else outcome.running_infos.get(0, {})
        if terminated:
            self._episodes.stop()
            if self.render_mode is not None:
                self._final_view = self._episodes.view(0, info)
        if self.render_mode == "human":
            self._stream.grow(self._final_view or self._episodes.view(0))
        return self._episodes.row_observation(0), float(outcome.rewards[0]), terminated, False, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Which actions are legal now, a new array ``(n_actions,)`` bool; the name is ``MaskablePPO``'s."""
        return self._episodes.action_mask(0)

    def render(self) -> str | npt.NDArray[np.uint8] | None:
        """The episode as coloured text in the mode ``"ansi"``, as a picture in the mode ``"rgb_array"``.

        In the mode ``"human"`` it is on the screen already.

        Raises:
            MissingDependencyError: A picture needs Pillow.
            ResetNeeded: There has been no episode yet.
        """
        if self.render_mode is None:
            gym.logger.warn('render() does nothing without a render mode: gym.make(..., render_mode="ansi")')
            return None
        if not self._episodes.started:
            raise ResetNeeded("render() needs an episode: call reset() first")
        if self.render_mode == "human":
            return None
        view = self._final_view or self._episodes.view(0)
        return episode_image(view) if self.render_mode == "rgb_array" else episode_text(view)
