"""How the language model ``tiny`` was made: ``python -m lm_envs.pretraining``."""
