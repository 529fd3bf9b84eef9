"""What a training run is made of: algorithm, wrappers, schedules, and the numbers in ``agents/hyperparameters``."""
