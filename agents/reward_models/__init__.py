"""Reward models: trained on comparisons and ratings, measured, saved, and served."""
