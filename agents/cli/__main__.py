"""``python -m agents.cli``, the same as ``lm-envs``."""

from agents.cli import app

app(prog_name="lm-envs")
