"""A small context-free grammar, read from text, that both writes and recognises sentences.

A grammar is a list of rules in a plain notation::

    clause.$v
        the {aspect.$n} {be.$n} {adj.$v}
        [3] {it} work/works:$p well
    adj.good = good | great | wonderful

* A line at the left margin names a symbol; each indented line below it is one alternative. After ``=``
  alternatives stand on one line, separated by ``|``.
* ``{name}`` is another symbol, ``{name?}`` the same but optional. Everything else is a word.
* ``$v`` is a variable: the rule is copied for every value of the variable's domain, in its name and in
  its alternatives alike. That is how agreement (number, gender, kind of aspect, polarity) is expressed.
* ``plural/singular:pl`` and ``plural/singular:sg`` choose a word by number.
* ``[3]`` is a weight (default 1). Copies of one alternative share its weight. What has the weight 0 is
  recognised and never written.

An alternative that mentions a symbol without rules is dropped, so a category without plural aspects
simply lacks the patterns about them. No symbol may derive itself, so the language is finite.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

Symbols = tuple[str, ...]
Domains = Mapping[str, Sequence[str]]

_VARIABLE = re.compile(r"\$([a-z])")
_NUMBER_CHOICE = re.compile(r"^([^/\s]+)/([^/\s]+):(sg|pl)$")
_WEIGHT = re.compile(r"^\[([\d.]+)\]\s*")


class Rule(NamedTuple):
    """One line of the notation: ``symbol`` may become ``alternative``; variables are not filled in yet."""

    symbol: str
    alternative: str
    weight: float


class Alternative(NamedTuple):
    """What a symbol may become. Alternatives with the same ``line`` are copies that share a weight."""

    symbols: Symbols
    weight: float
    line: int = 0


def parse_rules(text: str) -> list[Rule]:
    """Read the notation described at the top of this file.

    Raises:
        ValueError: An alternative stands before the first symbol.
    """
    rules: list[Rule] = []
    symbol = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace():
            if not symbol:
                raise ValueError(f"expected a symbol at the left margin before the alternative {line.strip()!r}")
            rules.append(_rule(symbol, line.strip()))
        else:
            symbol, _, listed = (part.strip() for part in line.partition("="))
            rules.extend(_rule(symbol, part.strip()) for part in listed.split("|") if part.strip())
    return rules


def _rule(symbol: str, alternative: str) -> Rule:
    found = _WEIGHT.match(alternative)
    if found:
        return Rule(symbol, alternative[found.end() :], float(found.group(1)))
    return Rule(symbol, alternative, 1.0)


def is_symbol(item: str) -> bool:
    """Whether an item of an alternative is a symbol (``{name}``) and not a word."""
    return item.startswith("{")


class Grammar:
    """Rules with their variables filled in.

    Args:
        rules: The rules, usually from :func:`parse_rules`.
        domains: The values of each variable, for example ``{"v": ("good", "bad")}``.

    Raises:
        ValueError: A symbol derives itself.
    """

    def __init__(self, rules: Sequence[Rule], domains: Domains) -> None:
        self._alternatives = _prune(_fill_in(rules, domains))
        self._cumulated = {name: _cumulate(options) for name, options in self._alternatives.items()}
        _check_not_recursive(self._alternatives)

    def __contains__(self, symbol: str) -> bool:
        return "{" + symbol + "}" in self._alternatives

    def alternatives(self, symbol: str) -> list[Alternative]:
        """What ``symbol`` (written with braces) may become."""
        return self._alternatives[symbol]

    def words(self) -> set[str]:
        """All words that occur in any alternative."""
        options = itertools.chain.from_iterable(self._alternatives.values())
        return {item for option in options for item in option.symbols if not is_symbol(item)}

    def generate(self, symbol: str, rng: np.random.Generator, slots: Mapping[str, str] | None = None) -> list[str]:
        """Derive a random list of words.

        Args:
            symbol: What to start from, without braces.
            rng: Source of all randomness.
            slots: Words to use for some symbols (without braces) instead of random ones.
        """
        fixed = {"{" + name + "}": words.split() for name, words in (slots or {}).items()}
        return list(self._derive("{" + symbol + "}", rng, fixed))

    def longest(self, symbol: str, length: Callable[[str], int]) -> list[str]:
        """The longest list of words that a symbol may become.

        Args:
            symbol: What to start from, without braces.
            length: The length of a word.
        """
        found: dict[str, tuple[int, list[str]]] = {}

        def of(item: str) -> tuple[int, list[str]]:
            if not is_symbol(item):
                return length(item), [item]
            if item not in found:
                options = [[of(part) for part in option.symbols] for option in self._alternatives[item]]
                sums = [(sum(n for n, _ in parts), [word for _, words in parts for word in words]) for parts in options]
                found[item] = max(sums, key=lambda option: option[0])
            return found[item]

        return of("{" + symbol + "}")[1]

    def _derive(self, item: str, rng: np.random.Generator, fixed: Mapping[str, list[str]]) -> Iterator[str]:
        if not is_symbol(item):
            yield item
            return
        if item in fixed:
            yield from fixed[item]
            return
        choice = int(np.searchsorted(self._cumulated[item], rng.random(), side="right"))
        for part in self._alternatives[item][choice].symbols:
            yield from self._derive(part, rng, fixed)


def _fill_in(rules: Sequence[Rule], domains: Domains) -> dict[str, list[Alternative]]:
    """Copy every rule for all values of its variables."""
    filled: dict[str, list[Alternative]] = {}
    for line, rule in enumerate(rules):
        outer = sorted(set(_VARIABLE.findall(rule.symbol)))
        inner = sorted(set(_VARIABLE.findall(rule.alternative)) - set(outer))
        for binding in _bindings(outer, domains):
            name = "{" + _substitute(rule.symbol, binding) + "}"
            for more in _bindings(inner, domains):
                symbols = _read(_substitute(rule.alternative, {**binding, **more}))
                filled.setdefault(name, []).append(Alternative(symbols, rule.weight, line))
    _add_optional(filled)
    return filled


def _bindings(variables: Sequence[str], domains: Domains) -> list[dict[str, str]]:
    values = itertools.product(*(domains[v] for v in variables))
    return [dict(zip(variables, combination, strict=True)) for combination in values]


def _substitute(text: str, binding: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: binding[found.group(1)], text)


def _read(alternative: str) -> Symbols:
    return tuple(_choose_number(item) for item in alternative.split() if item != "-")


def _choose_number(item: str) -> str:
    found = _NUMBER_CHOICE.match(item)
    if not found:
        return item
    plural, singular, number = found.groups()
    return singular if number == "sg" else plural


def _add_optional(filled: dict[str, list[Alternative]]) -> None:
    """Define ``{name?}`` as nothing or ``{name}``, with equal chances."""
    used = {item for options in filled.values() for option in options for item in option.symbols}
    for item in used:
        if item.endswith("?}"):
            filled[item] = [Alternative((), 1.0, 0), Alternative((item[:-2] + "}",), 1.0, 1)]


def _prune(filled: dict[str, list[Alternative]]) -> dict[str, list[Alternative]]:
    """Drop alternatives that mention undefined symbols until none is left."""
    while True:
        kept = {
            name: [o for o in options if all(not is_symbol(item) or item in filled for item in o.symbols)]
            for name, options in filled.items()
        }
        kept = {name: options for name, options in kept.items() if options}
        if sum(map(len, kept.values())) == sum(map(len, filled.values())):
            return kept
        filled = kept


def _cumulate(options: Sequence[Alternative]) -> np.ndarray:
    copies = Counter(option.line for option in options)
    weights = np.cumsum([option.weight / copies[option.line] for option in options])
    return weights[:-1] / weights[-1]


def _check_not_recursive(alternatives: Mapping[str, Sequence[Alternative]]) -> None:
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"expected a grammar without recursion, but {name} derives itself: {above}")
        if name in done:
            return
        for item in itertools.chain.from_iterable(option.symbols for option in alternatives[name]):
            if is_symbol(item):
                visit(item, (*above, name))
        done.add(name)

    for name in alternatives:
        visit(name, ())
