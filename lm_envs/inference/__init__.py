"""Running a language model token by token: a key/value cache with slots, the attention over it, fast layers.

Needs torch and transformers, which ``import lm_envs`` alone does not: import from here where a model is used.
"""
