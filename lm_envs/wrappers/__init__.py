"""Wrappers of token environments that bring a frozen language model's knowledge to small agents.

Each class takes single and vector environments; for a vector environment the constructor returns the class of that
name in :mod:`lm_envs.wrappers.vector`. Importing this package imports neither torch nor transformers.
"""

from lm_envs.wrappers.candidate_actions import CandidateActions
from lm_envs.wrappers.hidden_state_observation import HiddenStateObservation

__all__ = ["CandidateActions", "HiddenStateObservation"]
