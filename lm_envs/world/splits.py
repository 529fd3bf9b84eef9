"""Dividing texts into training, validation and test parts by a hash, so that the parts never share a text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from lm_envs.errors import UnknownNameError

T = TypeVar("T")

SPLITS = ("train", "validation", "test")
SIZES = {"train": 4096, "validation": 512, "test": 512}


def split_of(text: str) -> str:
    """The split that ``text`` belongs to: 80% train, 10% validation, 10% test, whoever asks."""
    bucket = hashlib.sha256(text.encode()).digest()[0]
    if bucket < 205:
        return "train"
    return "validation" if bucket < 231 else "test"


def check_split(split: str) -> None:
    """Raise an error for an unknown split.

    Raises:
        UnknownNameError: ``split`` is not one of train, validation, test.
    """
    if split not in SPLITS:
        raise UnknownNameError.for_name("split", split, SPLITS)


def draw_from(
    split: str, rng: np.random.Generator, draw: Callable[[np.random.Generator], T], key: Callable[[T], str]
) -> T:
    """Draw random items until one belongs to a split.

    Args:
        split: Name of the split.
        rng: Source of all randomness.
        draw: Makes one random item.
        key: The text that decides the split of an item.

    Raises:
        UnknownNameError: Unknown split.
    """
    check_split(split)
    while split_of(key(item := draw(rng))) != split:
        pass
    return item


def collect(split: str, draw: Callable[[np.random.Generator], T], key: Callable[[T], str]) -> list[T]:
    """Draw different items of a split until it is full.

    Args:
        split: Name of the split.
        draw: Makes one random item; every split has its own stream of random numbers.
        key: The text that decides the split of an item; items with equal keys count once.

    Returns:
        ``SIZES[split]`` items, always the same ones for the same arguments.

    Raises:
        UnknownNameError: Unknown split.
    """
    check_split(split)
    rng = np.random.default_rng([0, SPLITS.index(split)])
    found: dict[str, T] = {}
    while len(found) < SIZES[split]:
        item = draw(rng)
        text = key(item)
        if split_of(text) == split:
            found.setdefault(text, item)
    return list(found.values())
