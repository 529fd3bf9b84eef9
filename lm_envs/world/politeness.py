"""Whether a turn at the help desk has a polite formula."""

from __future__ import annotations

import re
from functools import cache

from lm_envs.world.dialogues import dialogue_grammar
from lm_envs.world.spelling import SENTENCE_ENDS

_SENTENCES = ("sure", "thanks", "sorry")
_PHRASES = r"please|thank you|thanks|sorry|you are welcome|have a (?:nice|good) day|my pleasure|happy to help|may i"


def is_polite(text: str) -> bool:
    """Whether a text has one of the world's polite words ("please", "thank you") or sentences ("Of course.")."""
    return _formulas().search(text.lower()) is not None


@cache
def _formulas() -> re.Pattern[str]:
    options = [
        option.symbols for symbol in _SENTENCES for option in dialogue_grammar().alternatives("{" + symbol + "}")
    ]
    sentences = "|".join(" ".join(word for word in words if word not in SENTENCE_ENDS) for words in options)
    return re.compile(rf"\b(?:{_PHRASES})\b|(?:^|[.!?] )(?:{sentences})[.!]")
