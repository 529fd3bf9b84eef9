"""The wrappers for vector environments, under the names of those for single ones."""

from lm_envs.wrappers.vector.candidate_actions import CandidateActions
from lm_envs.wrappers.vector.hidden_state_observation import HiddenStateObservation

__all__ = ["CandidateActions", "HiddenStateObservation"]
