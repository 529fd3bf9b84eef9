"""The arguments of ``Dialogue-v0``, checked once, shared by the single and the vector environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_envs.environment_arguments import RENDER_MODES, check_choice, environment_reward, positive_int
from lm_envs.errors import ConfigurationError
from lm_envs.stopping import stop_strings

if TYPE_CHECKING:
    from lm_envs.dialogue.partners import Partners
    from lm_envs.rewards import RewardSum

DEFAULT_PARTNER = "agenda"
ACTIONS: tuple[str, ...] = ("tokens", "acts")
PHRASINGS: tuple[str, ...] = ("template", "lm")
OVERFLOWS: tuple[str, ...] = ("end", "drop")


@dataclass(frozen=True)
class DialogueConfig:
    """Arguments of ``Dialogue-v0``; :class:`lm_envs.dialogue.env.DialogueEnv` documents them.

    Raises:
        ConfigurationError: A value cannot work, or two arguments exclude each other.
        UnknownNameError: ``actions``, ``phrasing``, ``on_overflow`` or ``render_mode`` is not one of the known names.
    """

    model: str = "tiny"
    partner: Any = None
    partner_kwargs: Mapping[str, Any] | None = None
    dataset: Any = None
    reward: Any = None
    actions: str = "tokens"
    phrasing: str = "template"
    system: str | None = None
    max_tokens: int = 256
    max_turns: int = 8
    max_turn_tokens: int = 32
    max_user_tokens: int = 32
    on_overflow: str = "end"
    stop: str | Sequence[str] | None = None
    split: str = "train"
    group_size: int = 1
    render_mode: str | None = None
    device: str = "cpu"
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without reading anything."""
        for name in ("max_tokens", "max_turns", "max_turn_tokens", "max_user_tokens", "group_size"):
            object.__setattr__(self, name, positive_int(name, getattr(self, name)))
        object.__setattr__(self, "stop", stop_strings(self.stop))
        check_choice("actions", self.actions, ACTIONS)
        check_choice("phrasing", self.phrasing, PHRASINGS)
        check_choice("on_overflow", self.on_overflow, OVERFLOWS)
        if self.render_mode is not None:
            check_choice("render_mode", self.render_mode, RENDER_MODES)
        self._check_partner()
        self._check_system()

    def _check_partner(self) -> None:
        if self.partner is None:
            object.__setattr__(self, "partner", DEFAULT_PARTNER if self.dataset is None else "replay")
        elif self.dataset is not None and self.partner == DEFAULT_PARTNER:
            raise ConfigurationError(
                f"got both partner={self.partner!r}, which brings its own goals, and a dataset: pass one of the two. "
                "A dataset alone means partner='replay'"
            )
        kwargs = {} if self.partner_kwargs is None else self.partner_kwargs
        if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
            raise ConfigurationError(
                f"partner_kwargs must be a mapping of the partner's arguments to values, got {self.partner_kwargs!r}"
            )
        object.__setattr__(self, "partner_kwargs", dict(kwargs))

    def _check_system(self) -> None:
        if self.system is not None and (not isinstance(self.system, str) or not self.system):
            raise ConfigurationError(f"system must be the text of a system message, or None, got {self.system!r}")
        if self.phrasing != "template" and self.actions != "acts":
            raise ConfigurationError(
                f"phrasing={self.phrasing!r} tells how dialogue acts become text; with actions='tokens' the agent "
                "writes itself. Pass actions='acts', or leave phrasing out"
            )

    def load_partners(self, num_rows: int) -> Partners:
        """The users of ``num_rows`` conversations.

        Raises:
            ConfigurationError: The partner refuses its arguments, or has no dialogue acts to choose from.
            DataError: Its data are missing or malformed.
            UnknownNameError: There is no such partner or split.
        """
        from lm_envs.dialogue.partners.registry import make_partners

        names = ("split", "device", "model", "trust_remote_code") + (("dataset",) if self.dataset is not None else ())
        offered = {name: getattr(self, name) for name in names}
        partners = make_partners(self.partner, num_rows, self.partner_kwargs or {}, offered)
        if self.actions == "acts" and partners.acts is None:
            raise ConfigurationError(
                f"the partner {self.partner!r} has no dialogue acts to choose from: use partner='agenda', give your "
                "Partners an attribute `acts`, or let the agent write: actions='tokens'"
            )
        return partners

    def n_starts(self) -> int:
        """Number of scenarios that an episode can start with."""
        return self.load_partners(num_rows=1).n_scenarios

    def load_reward(self, partners: Partners) -> RewardSum:
        """The reward: the user's, else the partner's; it uses this environment's model where it needs one."""
        spec = partners.default_reward if self.reward is None else self.reward
        return environment_reward(spec, self.model, self.device)
