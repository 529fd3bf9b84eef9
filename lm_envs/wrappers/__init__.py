"""Wrappers of token environments: a frozen language model's knowledge for small agents, text for agents that speak.

:class:`CandidateActions` and :class:`HiddenStateObservation` take single and vector environments; for a vector
environment the constructor returns the class of that name in :mod:`lm_envs.wrappers.vector`. :class:`TextInterface`
takes single ones. Importing this package imports neither torch nor transformers.
"""

from lm_envs.wrappers.candidate_actions import CandidateActions
from lm_envs.wrappers.hidden_state_observation import HiddenStateObservation
from lm_envs.wrappers.text_interface import TextInterface

__all__ = ["CandidateActions", "HiddenStateObservation", "TextInterface"]
