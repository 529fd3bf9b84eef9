"""The exceptions of the project. Each message states what was expected, what came, and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LMEnvsError(Exception):
    """Base class: raised by everything in ``lm_envs`` and ``agents`` that reports a user's mistake."""


class ConfigurationError(LMEnvsError, ValueError):
    """Raised when an argument has a value that cannot work."""


class UnknownNameError(LMEnvsError, ValueError):
    """Raised when a model, task, reward or column is asked for by a name that nobody registered."""

    @classmethod
    def for_name(cls, kind: str, name: str, known: Iterable[str], remedy: str = "") -> UnknownNameError:
        """Build the error for ``name``, with the closest known names as a suggestion.

        Args:
            kind: What was looked up, for example ``"reward"``.
            name: The name that was not found.
            known: All names that would have been found.
            remedy: A sentence that tells what else the user can do.
        """
        known = sorted(known)
        close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return cls(f"unknown {kind} {name!r}.{hint} Known: {', '.join(known) or 'none'}. {remedy}".rstrip())


class DataError(LMEnvsError, ValueError):
    """Raised when a data file or data set is missing, empty, malformed, or lacks a column."""


class ModelError(LMEnvsError, ValueError):
    """Raised when a model cannot be loaded or does not fit its use."""


class RewardError(LMEnvsError, RuntimeError):
    """Raised when a reward function raises, or returns something other than one finite number an episode."""


class AgentError(LMEnvsError, RuntimeError):
    """Raised when an agent that speaks text raises, cannot be imported, or returns something other than a text."""


class PartnerError(LMEnvsError, RuntimeError):
    """Raised when a partner fails or answers with something that is no turn."""


class InvalidActionError(LMEnvsError, ValueError):
    """Raised when an action lies outside of the action space."""


class CheckpointError(LMEnvsError, RuntimeError):
    """Raised when a checkpoint or run folder is missing, corrupt, or belongs to another configuration."""


class DistributedError(LMEnvsError, RuntimeError):
    """Raised when another process of a data-parallel run has ended or does not answer."""


class MissingDependencyError(LMEnvsError, ImportError):
    """Raised when an optional package is needed and not installed; names the extra that brings it."""

    @classmethod
    def for_package(cls, package: str, extra: str, purpose: str) -> MissingDependencyError:
        """Build the error for ``package``, which the extra ``extra`` installs and ``purpose`` needs."""
        return cls(f"{purpose} needs the package {package!r}. Install it with: pip install 'lm-envs[{extra}]'")
