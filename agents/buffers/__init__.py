"""Rollout and replay buffers that store each token once and yield whole sequences."""
