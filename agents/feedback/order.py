"""In which order an annotator sees the completions of an item."""

from __future__ import annotations

import hashlib
import random


def shown_order(item_id: int, annotator: str, n: int) -> tuple[int, ...]:
    """The numbers of the completions in the order in which they are shown.

    It is the same whenever the annotator comes back to the item, another one for other items, and another one for
    other annotators, so that a liking for the first place says nothing about where completions come from.

    Args:
        item_id: The item's number in the store.
        annotator: The annotator's name.
        n: How many completions there are.

    Returns:
        ``order`` of length ``n``: the completion ``order[k]`` stands in place ``k``.
    """
    digest = hashlib.blake2b(f"{item_id} {annotator.strip()}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return tuple(random.Random(int.from_bytes(digest, "big")).sample(range(n), n))
