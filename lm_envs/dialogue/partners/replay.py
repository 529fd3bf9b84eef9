"""Contexts out of recorded dialogues: the agent writes the next turn, and is compared with what was said there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from lm_envs.data.dialogues import load_dialogues
from lm_envs.dialogue.partners.protocol import Message, Opening, Partners, Reply
from lm_envs.errors import ConfigurationError, DataError, UnknownNameError
from lm_envs.rewards.combination import DIALOGUE_COLUMNS

REFERENCE = "reference"
TURNS = ("all", "last")
RESERVED_COLUMNS = (REFERENCE, "prompts", "completions", *DIALOGUE_COLUMNS)


class ReplayPartners(Partners):
    """Users that say what was said in dialogues of your own.

    A scenario is the beginning of a dialogue up to a turn of the user. The agent writes the next turn, and the
    conversation is over. The turn of the assistant that follows in the data is the column ``reference``, which rewards
    compare the agent's turn with; the other columns of the data are there, too.

    Args:
        num_rows: Number of conversations side by side.
        dataset: JSON lines with ``messages``, each a list of ``{"role": ..., "content": ...}``, which is the format of
            chat data sets; or another file, folder, list of rows or data set id that
            :func:`lm_envs.data.load_dataset` takes.
        split: Which dialogues; a source without splits is split by the hash of its dialogues.
        device: Not used.
        messages_column: The column with the dialogues.
        turns: ``"all"``: a scenario for each turn of the assistant; ``"last"``: for the last one of each dialogue.
        columns: Further columns of the data to keep; None keeps all.

    Raises:
        ConfigurationError: There is no ``dataset``.
        DataError: The data are missing or malformed, or have a column with a reserved name.
        UnknownNameError: ``turns`` is something else.
    """

    default_reward: ClassVar[Any] = "token_f1"

    def __init__(
        self,
        num_rows: int,
        dataset: Any = None,
        split: str = "train",
        device: str = "cpu",
        messages_column: str = "messages",
        turns: str = "all",
        columns: Sequence[str] | None = None,
    ) -> None:
        if dataset is None:
            raise ConfigurationError(
                "the partner 'replay' plays dialogues of your own: pass dataset='dialogues.jsonl', a file of lines "
                '{"messages": [{"role": "user", "content": ...}, {"role": "assistant", ...}, ...]}.'
            )
        if turns not in TURNS:
            raise UnknownNameError.for_name("choice of turns", turns, TURNS)
        table = load_dialogues(dataset, messages_column=messages_column, split=split, columns=columns)
        self._dialogues: list[list[Message]] = [_plain(messages) for messages in table.pop(messages_column)]
        self._data = _without_reserved(table)
        self.columns = (REFERENCE, *self._data)  # type: ignore[misc]  # differs from data to data
        self._scenarios = [
            (number, position)
            for number, messages in enumerate(self._dialogues)
            for position in _answers(messages)[0 if turns == "all" else -1 :]
        ]
        self.n_scenarios = len(self._scenarios)

    def open(self, rows: Sequence[int], scenarios: Sequence[int], rngs: Sequence[np.random.Generator]) -> list[Opening]:
        """Begin with what was said before the scenarios' turns of the assistant."""
        return [self._open(*self._scenarios[scenario]) for scenario in scenarios]

    def _open(self, number: int, position: int) -> Opening:
        messages = self._dialogues[number]
        others = {name: values[number] for name, values in self._data.items()}
        return Opening(messages[:position], columns={REFERENCE: messages[position]["content"], **others})

    def reply(self, rows: Sequence[int], histories: Sequence[list[Message]]) -> list[Reply]:
        """End the conversations: what the user said next answered another turn."""
        return [Reply("", done=True) for _ in rows]


def _plain(messages: Sequence[Any]) -> list[Message]:
    return [Message(role=message["role"], content=message["content"]) for message in messages]


def _answers(messages: Sequence[Message]) -> list[int]:
    """Where the assistant's turns are."""
    return [i for i, message in enumerate(messages) if message["role"] == "assistant"]


def _without_reserved(table: dict[str, list[Any]]) -> dict[str, list[Any]]:
    for name in RESERVED_COLUMNS:
        if name in table:
            raise DataError(
                f"the dialogues have a column named {name!r}, which rewards receive from the environment: rename it or "
                "leave it out by columns=[...]"
            )
    return table
