"""Does what should be written fit into the token budget?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lm_envs.errors import DataError
from lm_envs.vocabulary import Vocabulary


def check_references(
    references: Sequence[Sequence[str]], max_new_tokens: int, vocabulary: Vocabulary, described: str
) -> None:
    """Raise an error for a text that cannot be written: of each row's references one has to fit.

    Args:
        references: The texts of each row, at least one each, as they follow a space.
        max_new_tokens: The token budget of an episode.
        vocabulary: The tokens.
        described: What a row's text is, before the row's number: ``"the answer to question"``.

    Raises:
        DataError: All references of a row are too long.
    """
    texts = [f" {text}" for row in references for text in row]
    lengths = iter([len(ids) for ids in vocabulary.tokenizer(texts, add_special_tokens=False)["input_ids"]])
    shortest = np.array([min(next(lengths) for _ in row) for row in references])
    if (shortest > max_new_tokens).any():
        first = int(np.argmax(shortest > max_new_tokens))
        raise DataError(
            f"{described} {first} takes {shortest[first]} tokens, more than max_new_tokens={max_new_tokens}: "
            f"{references[first][0]!r:.80}. Set max_new_tokens={shortest.max()} or more; an end-of-text token comes on "
            "top"
        )
