"""The vocabulary of the world, by topic."""
