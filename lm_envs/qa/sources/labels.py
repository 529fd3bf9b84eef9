"""What tasks share that give a text one of a few labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import numpy as np

from lm_envs.data.templates import check_template, fill
from lm_envs.qa.questions import Question, Questions
from lm_envs.world.splits import SIZES, SPLITS, check_split

Labelled = tuple[str, str]
"""A text and its label."""


class LabelQuestions(Questions):
    """Texts of the small world with one of a few labels, each as often as the others; no text is in two splits.

    Subclasses say what is asked, and write texts with :meth:`draw`.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        template: The prompt, with the fields ``{text}`` and ``{question}``.

    Attributes:
        labels: The labels, which are the choices of every question, in this order.
        question: What is asked about each text.
        sizes: The number of texts in each split, a multiple of the number of labels.

    Columns:
        ``text``: what the label is about.

    Raises:
        UnknownNameError: There is no such split.
        ConfigurationError: The template has other fields.
    """

    columns: ClassVar[tuple[str, ...]] = ("text",)
    labels: ClassVar[tuple[str, ...]]
    question: ClassVar[str]
    sizes: ClassVar[Mapping[str, int]] = SIZES

    _drawn: ClassVar[dict[tuple[type, str], tuple[Labelled, ...]]] = {}

    def __init__(self, split: str = "train", template: str = "{text} Question: {question} Answer:") -> None:
        check_split(split)
        self._template = check_template(template, ("text", "question"))
        self.max_choices = len(self.labels)
        key = (type(self), split)
        if key not in self._drawn:  # once a process: environments share them
            self._drawn[key] = tuple(_balanced(self.labels, self.sizes[split], self.draw, split))
        self._items = self._drawn[key]

    def __len__(self) -> int:
        """Number of texts."""
        return len(self._items)

    def __getitem__(self, index: int) -> Question:
        """The question of that number."""
        text, label = self._items[index]
        prompt = fill(self._template, {"text": text, "question": self.question})
        return Question(prompt, (label,), self.labels, {"text": text})

    @classmethod
    def draw(cls, split: str, rng: np.random.Generator) -> Iterator[Labelled]:
        """Endlessly write texts of a split, with their labels."""
        raise NotImplementedError


def _balanced(
    labels: tuple[str, ...],
    size: int,
    draw: Callable[[str, np.random.Generator], Iterator[Labelled]],
    split: str,
) -> Iterator[Labelled]:
    """Different texts in random order, as many of each label."""
    rng = np.random.default_rng([1, SPLITS.index(split)])
    wanted = size // len(labels)
    found: dict[str, dict[str, None]] = {label: {} for label in labels}
    for text, label in draw(split, rng):
        if len(found[label]) < wanted:
            found[label].setdefault(text)
        elif all(len(texts) == wanted for texts in found.values()):
            break
    items = [(text, label) for label, texts in found.items() for text in texts]
    return (items[i] for i in rng.permutation(len(items)))
