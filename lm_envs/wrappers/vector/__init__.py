"""The wrappers for vector environments, under the names of those for single ones."""

from lm_envs.wrappers.vector.candidate_actions import CandidateActions

__all__ = ["CandidateActions"]
