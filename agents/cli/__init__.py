"""The command line ``lm-envs``: train, evaluate, sample, play, list.

Importing this package imports neither torch nor transformers: ``lm-envs --help`` answers at once.
"""

from agents.cli.application import app

__all__ = ["app"]
