"""How an answer is read from a completion: for rewards, for evaluation, for what the environment reports.

An extractor is a function from the completion to the answer; it returns ``""`` where there is none, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lm_envs.errors import ConfigurationError, UnknownNameError

Extractor = Callable[[str], str]
"""Reads the answer from a completion; ``""`` is no answer."""

KINDS = ("text", "line", "after", "tags", "boxed")

_TAG_NAME = re.compile(r"[A-Za-z][\w.-]*")
_BOXED = re.compile(r"\\boxed\s*(?=\{)")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def extractor(spec: str | Extractor) -> Extractor:
    r"""Make what reads the answer from a completion.

    Args:
        spec: One of

            - ``"text"``: the whole completion;
            - ``"line"``: its first line that is not blank, for models that go on writing;
            - ``"after:MARKER"``: what follows the last ``MARKER``, for example ``"after:####"``;
            - ``"tags"``: what is inside of the last ``<answer>...</answer>``; ``"tags:NAME"``: of ``<NAME>...</NAME>``;
            - ``"boxed"``: what is inside of the last ``\boxed{...}``, braces inside of it included;
            - a function of the completion.

            White space around the answer is dropped; nothing else is: a full stop at the end is left to the reward.

    Raises:
        UnknownNameError: There is no such way to read an answer.
        ConfigurationError: ``"after"`` without a marker, a name that no tag can have, a parameter where none is
            taken, or something that is neither a text nor a function.

    References:
        ``####`` is the marker of GSM8K, https://arxiv.org/abs/2110.14168; ``\boxed`` that of MATH,
        https://arxiv.org/abs/2103.03874; the tags are those of DeepSeek-R1, https://arxiv.org/abs/2501.12948
    """
    if not isinstance(spec, str):
        if callable(spec):
            return spec
        raise ConfigurationError(f"how an answer is read has to be one of {_options()} or a function, got {spec!r}.")
    kind, colon, parameter = spec.partition(":")
    if kind not in KINDS:
        remedy = f"Write one of {_options()}, or pass a function."
        raise UnknownNameError.for_name("way to read an answer", kind, KINDS, remedy)
    if kind == "after":
        return AfterMarker(parameter)
    if kind == "tags":
        return InsideTags(parameter) if colon else InsideTags()
    if colon:
        raise ConfigurationError(f"the way {kind!r} to read an answer takes no parameter, got {spec!r}.")
    return {"text": whole_text, "line": first_line, "boxed": boxed}[kind]


def _options() -> str:
    return "'text', 'line', 'after:MARKER', 'tags:answer', 'boxed'"


def whole_text(completion: str) -> str:
    """The completion without the white space around it."""
    return completion.strip()


def first_line(completion: str) -> str:
    """The first line that is not blank."""
    return next((line.strip() for line in completion.splitlines() if line.strip()), "")


def boxed(completion: str) -> str:
    r"""What is inside of the last ``\boxed{...}`` whose braces are closed."""
    for start in reversed([match.end() for match in _BOXED.finditer(completion)]):
        depth = 0
        for brace in _BRACE.finditer(completion, start):
            depth += {"{": 1, "}": -1}.get(brace[0], 0)  # \{ is no brace
            if depth == 0:
                return completion[start + 1 : brace.start()].strip()
    return ""


@dataclass(frozen=True)
class AfterMarker:
    """What follows the last marker, to the end of the completion.

    Args:
        marker: The marker; upper and lower case are told apart.

    Raises:
        ConfigurationError: The marker is empty.
    """

    marker: str

    def __post_init__(self) -> None:
        """Check the marker."""
        if not isinstance(self.marker, str) or not self.marker:
            raise ConfigurationError("reading what follows a marker needs the marker: write for example 'after:####'.")

    def __call__(self, completion: str) -> str:
        """The answer."""
        _, found, after = completion.rpartition(self.marker)
        return after.strip() if found else ""


@dataclass(frozen=True)
class InsideTags:
    """What is inside of the last pair of tags.

    A pair is a closing tag and the last opening tag before it; tags in the prompt do not count.

    Args:
        name: The tags' name, in the spelling that is looked for.

    Raises:
        ConfigurationError: No tag can have that name.
    """

    name: str = "answer"

    def __post_init__(self) -> None:
        """Check the name."""
        if not isinstance(self.name, str) or not _TAG_NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"a tag's name begins with a letter and has letters, digits, '.', '_' and '-' only, got {self.name!r}. "
                "Write 'tags:answer' for <answer>...</answer>."
            )

    def __call__(self, completion: str) -> str:
        """The answer."""
        opening, closing = f"<{self.name}>", f"</{self.name}>"
        before, found, _ = completion.rpartition(closing)
        while found:
            _, opened, inside = before.rpartition(opening)
            if opened and closing not in inside:
                return inside.strip()
            before, found, _ = before.rpartition(closing)
        return ""


def read_answer(extract: Extractor, completion: str | None) -> str:
    """The answer in a completion, ``""`` for None.

    Raises:
        ConfigurationError: The user's own extractor returned something that is neither a text nor None.
    """
    answer: Any = extract(completion) if completion else ""
    if answer is not None and not isinstance(answer, str):
        raise ConfigurationError(f"{extract!r}, which reads answers, has to return a text, got {answer!r}.")
    return (answer or "").strip()
