"""A frozen language model finds the words for the agent's dialogue acts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lm_envs.dialogue.config import DialogueConfig
from lm_envs.dialogue.partners import Acts
from lm_envs.dialogue.turn_writer import TurnWriter
from lm_envs.vocabulary import load_vocabulary

ATTEMPTS = 8


class LanguageModelPhrasing:
    """Turns acts into text: the language model's first turn that performs the act, of up to :data:`ATTEMPTS`.

    The environment's model goes on with the conversation, in all rows at once, and the partner's parser tells what its
    turn does. A model that would rather say something else is helped along: at the second attempt the first token of
    the partner's template is given to it, at the third the first two, and so on. Where no attempt performs the act, and
    where there is no parser, the template speaks.

    Args:
        acts: The partner's acts.
        config: The environment's arguments.
        num_rows: Number of conversations side by side.
        stop_ids: Tokens that end a turn.
    """

    def __init__(self, acts: Acts, config: DialogueConfig, num_rows: int, stop_ids: Sequence[int]) -> None:
        self.acts = acts
        self.stop_ids = tuple(stop_ids)
        self.max_new_tokens = max(1, config.max_turn_tokens - 1)  # the token that ends the turn comes behind it
        self.writer = TurnWriter(
            load_vocabulary(config.model, config.trust_remote_code), num_rows, config.max_tokens, device=config.device
        )

    def phrase(
        self,
        rows: Sequence[int],
        acts: Sequence[int],
        token_ids: Sequence[npt.ArrayLike],
        rngs: Sequence[np.random.Generator],
    ) -> list[str]:
        """The agent's turns.

        Args:
            rows: Which conversations, each once.
            acts: The act of each.
            token_ids: Each conversation so far, with the tokens that ask for the agent's turn.
            rngs: Each row's random numbers.

        Returns:
            A text for each.
        """
        texts = [self.acts.phrase(*chosen) for chosen in zip(rows, acts, rngs, strict=True)]
        todo = [i for i, text in enumerate(texts) if self.acts.recognises(rows[i], acts[i], text) is not None]
        given = self._token_ids([texts[i] for i in todo])
        starts = {i: (np.asarray(token_ids[i]), ids) for i, ids in zip(todo, given, strict=True)}
        for n_given in range(min(ATTEMPTS, self.max_new_tokens)):
            todo = [i for i in todo if n_given < len(starts[i][1])]
            contexts = [starts[i][0] for i in todo]
            beginnings = [starts[i][1][:n_given] for i in todo]
            written = self._write([rows[i] for i in todo], contexts, beginnings, [rngs[i] for i in todo])
            performed = {
                i: text
                for i, text in zip(todo, written, strict=True)
                if text and self.acts.recognises(rows[i], acts[i], text) and self._fits(text)
            }
            for i, text in performed.items():
                texts[i] = text
            todo = [i for i in todo if i not in performed]
        return texts

    def _write(
        self,
        rows: Sequence[int],
        contexts: Sequence[npt.NDArray[np.int64]],
        beginnings: Sequence[list[int]],
        rngs: Sequence[np.random.Generator],
    ) -> list[str]:
        """Let the model end turns that begin in a given way, all of which are of one length."""
        if not rows:
            return []
        starts = [
            np.append(context, begun).astype(np.int64) for context, begun in zip(contexts, beginnings, strict=True)
        ]
        turns = self.writer.write(rows, starts, rngs, self.max_new_tokens - len(beginnings[0]), self.stop_ids)
        whole = [[*begun, *turn.tolist()] for begun, turn in zip(beginnings, turns, strict=True)]
        return [text.strip() for text in self.writer.vocabulary.decode(whole)]

    def _fits(self, text: str) -> bool:
        """Whether a turn that was written still fits when its text is tokenized again."""
        return len(self._token_ids([text])[0]) <= self.max_new_tokens

    def _token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer = self.writer.vocabulary.tokenizer
        return [list(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]] if texts else []
