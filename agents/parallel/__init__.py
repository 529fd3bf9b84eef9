"""Data-parallel learning: several processes, one model, Stable-Baselines3's algorithms as they are."""
