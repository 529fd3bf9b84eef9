"""``QA-v0``: questions with answers that can be checked."""
