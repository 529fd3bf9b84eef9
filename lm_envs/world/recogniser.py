"""Recognising the sentences of a :class:`~lm_envs.world.grammar.Grammar`, and their beginnings.

The automaton is built while it is used. A state is the set of all ways in which the sentence may go on,
each a tuple of grammar items. Reading a word leads to the set of what remains after that word. Every state
is computed once, so that recognition costs one dictionary look-up per word after warming up.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from lm_envs.world.grammar import Grammar, Symbols, is_symbol


class Match(Enum):
    """How a list of words relates to the language of a symbol."""

    NONE = "none"
    PREFIX = "prefix"
    COMPLETE = "complete"


class _State:
    __slots__ = ("accepting", "remainders", "table")

    def __init__(self, remainders: frozenset[Symbols]) -> None:
        self.remainders = remainders
        self.accepting = False
        self.table: dict[str, _State] | None = None


class Recogniser:
    """Decides whether words are derived from ``symbol``, or begin something that is.

    Args:
        grammar: The grammar that also generates.
        symbol: The start symbol, without braces.
    """

    def __init__(self, grammar: Grammar, symbol: str) -> None:
        self._grammar = grammar
        self._openings: dict[str, list[Symbols]] = {}
        self._states: dict[frozenset[Symbols], _State] = {}
        self._start = self._state(frozenset({("{" + symbol + "}",)}))

    def match(self, words: Sequence[str], *, last_is_cut: bool = False) -> Match:
        """Compare ``words`` with the language.

        Args:
            words: The words, in the grammar's own spelling.
            last_is_cut: The last word may itself be the beginning of a longer word.

        Returns:
            ``COMPLETE`` when the words are a sentence, ``PREFIX`` when only more words make them one.
        """
        state = self._start
        for position, word in enumerate(words):
            table = self._table(state)
            if word not in table:
                cut = last_is_cut and position == len(words) - 1
                return Match.PREFIX if cut and any(w.startswith(word) for w in table) else Match.NONE
            state = table[word]
        self._table(state)
        return Match.COMPLETE if state.accepting else Match.PREFIX

    def expected(self, words: Sequence[str]) -> tuple[int, list[str]]:
        """The number of leading words that fit, and the words that could have followed them."""
        state = self._start
        for position, word in enumerate(words):
            table = self._table(state)
            if word not in table:
                return position, sorted(table)
            state = table[word]
        return len(words), sorted(self._table(state))

    def _state(self, remainders: frozenset[Symbols]) -> _State:
        if remainders not in self._states:
            self._states[remainders] = _State(remainders)
        return self._states[remainders]

    def _table(self, state: _State) -> dict[str, _State]:
        if state.table is None:
            following: dict[str, set[Symbols]] = {}
            for remainder in state.remainders:
                for opened in self._open(remainder):
                    if opened:
                        following.setdefault(opened[0], set()).add(opened[1:])
                    else:
                        state.accepting = True
            state.table = {word: self._state(frozenset(rest)) for word, rest in following.items()}
        return state.table

    def _open(self, items: Symbols) -> list[Symbols]:
        """Rewrite the first item until each result is empty or starts with a word."""
        if not items:
            return [()]
        if not is_symbol(items[0]):
            return [items]
        results: list[Symbols] = []
        for opening in self._symbol_openings(items[0]):
            results.extend([opening + items[1:]] if opening else self._open(items[1:]))
        return results

    def _symbol_openings(self, symbol: str) -> list[Symbols]:
        if symbol not in self._openings:
            options = self._grammar.alternatives(symbol)
            found = {opened for option in options for opened in self._open(option.symbols)}
            self._openings[symbol] = sorted(found)
        return self._openings[symbol]
