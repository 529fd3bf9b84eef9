"""The text that the tiny language model learns: a mixture of all kinds of documents of the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from lm_envs.errors import UnknownNameError
from lm_envs.world import dialogues, headlines, keywords, passages, reviews, spanish
from lm_envs.world.splits import check_split

Writer = Callable[[np.random.Generator, str], str]


def _review(rng: np.random.Generator, split: str) -> str:
    return reviews.generate(rng, split).text


def _keywords(rng: np.random.Generator, split: str) -> str:
    words, text = keywords.generate(rng, split)
    return f"{keywords.keyword_prompt(words)} {text}"


def _dialogue(rng: np.random.Generator, split: str) -> str:
    messages = dialogues.generate(rng, split).messages(system=bool(rng.random() < 0.2))
    return "".join(f"<|{message['role']}|>{message['content']}<|endofturn|>" for message in messages)


def _answered(generate: Callable[[np.random.Generator, str], Any], answer: Callable[[Any], str]) -> Writer:
    """Writes the prompt of an item, and behind it what answers it."""

    def write(rng: np.random.Generator, split: str) -> str:
        item = generate(rng, split)
        return f"{item.prompt} {answer(item)}"

    return write


_WRITERS: dict[str, Writer] = {
    "reviews": _review,
    "keywords": _keywords,
    "dialogues": _dialogue,
    "passages": _answered(passages.generate, lambda item: f"{item.question.answer}."),
    "headlines": _answered(headlines.generate, lambda item: item.text),
    "translations": _answered(spanish.generate, lambda item: item.spanish),
    "sentence_answers": _answered(passages.generate, lambda item: item.question.sentence),
    "brief_headlines": _answered(headlines.generate, lambda item: item.brief),
    "dialects": _answered(spanish.generate_dialect, lambda item: item.spanish),
}
_LAST_OF_PROMPT = (" Answer:", " Headline:", " In Spanish:")
SHARES = {"reviews": 0.64, "keywords": 0.12, "dialogues": 0.10, "passages": 0.14}
DOMAINS = tuple(_WRITERS)


def document(domain: str, rng: np.random.Generator, split: str = "train") -> str:
    """Write one document, without its end-of-text token.

    Args:
        domain: One of :data:`DOMAINS`.
        rng: Source of all randomness.
        split: The split that the document's prompt belongs to.

    Raises:
        UnknownNameError: Unknown domain or split.
    """
    if domain not in _WRITERS:
        raise UnknownNameError.for_name("domain", domain, DOMAINS)
    check_split(split)
    return _WRITERS[domain](rng, split)


def documents(rng: np.random.Generator, split: str = "train", shares: Mapping[str, float] = SHARES) -> Iterator[str]:
    """Endlessly write documents of the domains in ``shares``, in their proportions."""
    weights = np.array([shares.get(domain, 0.0) for domain in DOMAINS])
    while True:
        domain = DOMAINS[rng.choice(len(DOMAINS), p=weights / weights.sum())]
        yield document(domain, rng, split)


def prompt_of(text: str) -> str:
    """What a document asks with, up to ``Answer:``, ``Headline:`` or ``In Spanish:``; empty where it asks nothing."""
    for mark in _LAST_OF_PROMPT:
        if mark in text:
            return text[: text.index(mark) + len(mark)]
    return ""
