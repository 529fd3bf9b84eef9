"""Stable-Baselines3 callbacks: KL penalty, token rewards, another rollout buffer."""
