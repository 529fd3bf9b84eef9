"""Stable-Baselines3 policies that embed a language model, and policies out of files."""
