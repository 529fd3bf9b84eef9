"""Is the number right? Equality of numbers with a tolerance, however they are written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lm_envs.errors import ConfigurationError
from lm_envs.rewards.reference import AnswerReward
from lm_envs.rewards.registry import register
from lm_envs.rewards.words import require_choice

_LARGEST_EXPONENT = 308  # of a float; larger ones would take forever to write out
_LONGEST = 400  # characters
_DECIMAL = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_NUMBER = (
    r"(?P<sign>[+-]?)\s*[$€£]?\s*(?:"
    rf"(?:(?P<whole>[0-9]+)\s+)?(?P<above>{_DECIMAL})\s*/\s*(?P<below>{_DECIMAL})"
    rf"|(?P<decimal>{_DECIMAL})(?:[eE](?P<exponent>[+-]?[0-9]+))?"
    r")\s*(?P<percent>%?)"
)
_ONLY = re.compile(rf"\$*{_NUMBER}[$€£.\s]*")
_ANYWHERE = re.compile(rf"(?<![\w.]){_NUMBER}")
_SPELLINGS = (
    (re.compile("[−–]"), "-"),  # noqa: RUF001
    (re.compile(r"\\[dt]?frac\s*\{\s*([^{}]*?)\s*\}\s*\{\s*([^{}]*?)\s*\}"), r" \1/\2"),
    (re.compile(r"\s*(?:\\times|[*x×])\s*10\s*(?:\^|\*\*)\s*\{?\s*([+-]?[0-9]+)\}?"), r"e\1"),  # noqa: RUF001
    (re.compile(r"\\(?=[%$])"), ""),
)


def read_number(text: str) -> Fraction | None:
    r"""The number that a text is, or None.

    Thousands separators (``1,234.5``), a sign, a currency sign, ``%`` (a hundredth), fractions (``3/4``, ``1 1/2``,
    ``\frac{3}{4}``), powers of ten (``1.5e3``, ``1.5 x 10^3``), dollar signs around it as in LaTeX and a full stop at
    the end are understood; units and words are not.
    """
    found = _ONLY.fullmatch(_plain(text)) if len(text) <= _LONGEST else None
    return _value(found) if found else None


def last_number(text: str) -> Fraction | None:
    """The last number in a text, in the spellings of :func:`read_number`, or None."""
    found = list(_ANYWHERE.finditer(_plain(text[-_LONGEST:])))
    return _value(found[-1]) if found else None


def _plain(text: str) -> str:
    """Signs, fractions and powers of ten as one writes them without LaTeX."""
    for pattern, plain in _SPELLINGS:
        text = pattern.sub(plain, text)
    return text.strip()


def _value(found: re.Match[str]) -> Fraction | None:
    whole, above, below, decimal = (
        Fraction((found[name] or "0").replace(",", "")) for name in ("whole", "above", "below", "decimal")
    )
    exponent = int(found["exponent"] or 0)
    if abs(exponent) > _LARGEST_EXPONENT or (found["below"] and not below):
        return None
    value = whole + above / below if found["below"] else decimal * Fraction(10) ** exponent
    value = value / 100 if found["percent"] else value
    return -value if found["sign"] == "-" else value


@register("numeric_match")
@dataclass(frozen=True)
class NumericMatch(AnswerReward):
    r"""1 if the answer is the same number as one of the references, however it is written, else 0.

    Formula: ``|answer - reference| <= max(relative * |reference|, absolute)``, computed without rounding. Numbers may
    have thousands separators, a currency sign, ``%`` (a hundredth: ``50%`` is ``0.5``), a fraction (``3/4``, ``1 1/2``,
    ``\frac{3}{4}``) or a power of ten (``1.5e3``). What is no number scores 0, unless it is written as the reference.
    Where there is a column ``extracted``, it is judged instead of the completion.

    Args:
        column: The column with the references: numbers, or texts.
        relative: Tolerance as a share of the reference.
        absolute: Smallest tolerance.
        read: ``"whole"``: the answer has to be nothing but the number; ``"last"``: its last number counts.
    """

    __name__ = "numeric_match"
    relative: float = 1e-6
    absolute: float = 1e-9
    read: str = "whole"

    def __post_init__(self) -> None:
        """Check the tolerances and the way of reading."""
        require_choice("numeric_match", "read", self.read, ("whole", "last"))
        for name in ("relative", "absolute"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise ConfigurationError(f"{name} of the reward 'numeric_match' has to be at least 0, got {value!r}.")

    def score(self, completion: str, references: list[str]) -> float:
        """1.0 or 0.0 for one answer."""
        answer = read_number(completion) if self.read == "whole" else last_number(completion)
        return float(answer is not None and self._is_one_of(answer, [read_number(text) for text in references]))

    def _is_one_of(self, answer: Fraction, references: Sequence[Fraction | None]) -> bool:
        relative, absolute = Fraction(self.relative), Fraction(self.absolute)
        return any(abs(answer - gold) <= max(relative * abs(gold), absolute) for gold in references if gold is not None)
