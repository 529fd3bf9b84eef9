"""Stable-Baselines3 callbacks: KL penalty and limit, token rewards, rollout buffers, logs of what was written."""
