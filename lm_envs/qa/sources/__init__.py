"""Where questions come from: the small world, data of the user's own, generators."""

from lm_envs.qa.sources.registry import get, load_questions, names, register

__all__ = ["get", "load_questions", "names", "register"]
