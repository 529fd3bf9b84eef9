"""Demonstrations as tokens, cut as the environment cuts prompts, and the demonstrations that data sets bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from agents.evaluation.decisions import Decisions
from agents.feedback.examples import Demonstration
from lm_envs.environment_configs import config_class
from lm_envs.errors import ConfigurationError, DataError
from lm_envs.prompt_table import prompt_table
from lm_envs.vocabulary import Vocabulary, load_vocabulary

NO_SPACE_BEFORE = ".,;:!?)"
ENV_ID = "TextGen-v0"


class ShownTexts(NamedTuple):
    """Demonstrations as episodes.

    Attributes:
        episodes: What an agent that writes each text would have observed and chosen, the end of the text included.
        n_cut: How many texts were longer than an episode; they are cut, and their end is not shown.
    """

    episodes: list[Decisions]
    n_cut: int


def shown_texts(demonstrations: Sequence[Demonstration], model: str, env_kwargs: Mapping[str, Any]) -> ShownTexts:
    """Turn demonstrations into episodes.

    Prompts are tokenized and cut from the left as ``TextGen-v0`` does it. A completion that does not begin with white
    space or punctuation follows a space, unless the prompt ends in white space: so references do. After it comes the
    end-of-text token, where the model has one, so that a policy learns to stop.

    Args:
        demonstrations: The texts.
        model: The policy's language model.
        env_kwargs: Arguments of ``TextGen-v0``, which say how much room prompt and completion have.

    Raises:
        DataError: There is no demonstration, or a text that is neither prompt nor completion.
        LMEnvsError: Model or arguments cannot be used.
    """
    if not demonstrations:
        raise DataError("there is no demonstration to learn from; expected at least one prompt with a completion.")
    config = config_class(ENV_ID)(**{**env_kwargs, "model": model})
    vocabulary = load_vocabulary(model, config.trust_remote_code)
    texts = [_completion(item) for item in demonstrations]
    written = vocabulary.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    table = prompt_table([item.prompt for item in demonstrations], vocabulary)
    ids, lengths = table.padded(np.arange(len(demonstrations)), config.max_prompt_tokens)
    end = _end_of_text(vocabulary)
    room = config.max_new_tokens
    pairs = zip(ids, lengths, written, strict=True)
    episodes = [_episode(row[:length], [*tokens, *end][:room]) for row, length, tokens in pairs]
    return ShownTexts(episodes, sum(len(tokens) > room for tokens in written))


def _completion(item: Demonstration) -> str:
    text = item.completion
    joined = not text or text[0].isspace() or text[0] in NO_SPACE_BEFORE or item.prompt[-1:].isspace()
    return text if joined or not item.prompt else f" {text}"


def _end_of_text(vocabulary: Vocabulary) -> list[int]:
    own = vocabulary.tokenizer.eos_token_id
    return [int(own)] if own is not None else list(vocabulary.eos_ids[:1])


def _episode(prompt: np.ndarray, written: Sequence[int]) -> Decisions:
    """An episode in which ``written`` follows ``prompt``; the last token is chosen and never read."""
    actions = np.array(written, dtype=np.int64)
    sequence = np.concatenate([prompt, actions[:-1]]).astype(np.int32)
    positions = len(prompt) - 1 + np.arange(len(actions))
    return Decisions(actions, [sequence], np.zeros(len(actions), np.int64), positions)


def references_of(env_id: str, env_kwargs: Mapping[str, Any], split: str = "train") -> list[Demonstration]:
    """The texts that an environment's data have beside its prompts, the first of each row.

    Args:
        env_id: ``"TextGen-v0"``.
        env_kwargs: Its arguments; the task, or the user's own data, has a column ``reference``.
        split: Which prompts.

    Raises:
        ConfigurationError: Another environment, or data without references.
        DataError: A row's reference is no text.
    """
    if env_id != ENV_ID:
        raise ConfigurationError(f"references_of reads the data of {ENV_ID}; got {env_id!r}.")
    config = config_class(env_id)(**{**env_kwargs, "split": split})
    data = config.load_dataset(config.load_task())
    if "reference" not in data.columns:
        raise ConfigurationError(
            f"the data have no column 'reference', only {', '.join(map(repr, data.columns)) or 'prompts'}: there is "
            "nothing to imitate. Take a task with references, such as summarization, or give demonstrations of your "
            "own: a file with the columns prompt and completion."
        )
    rows = enumerate(zip(data.prompts, data.columns["reference"], strict=True), start=1)
    return [Demonstration(prompt, _first(reference, number)) for number, (prompt, reference) in rows]


def _first(reference: Any, number: int) -> str:
    first = reference[0] if isinstance(reference, (list, tuple)) and reference else reference
    if not isinstance(first, str):
        raise DataError(f"the reference of row {number} is {reference!r:.80}; expected a text or a list of texts.")
    return first
