"""The suite: which algorithm is measured on which case with which seeds, what becomes of each, and where it is kept."""
