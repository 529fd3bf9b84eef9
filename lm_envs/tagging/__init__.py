"""``Tagging-v0``: entities in sentences, labelled word by word."""
