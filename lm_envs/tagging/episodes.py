"""Sentences that run side by side, labelled word by word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from lm_envs.episodes import Episodes, StepOutcome
from lm_envs.errors import DataError
from lm_envs.legal_actions import LegalActions
from lm_envs.payments import Completions, Payment, RewardPayments
from lm_envs.rendering import EpisodeView, Piece
from lm_envs.tagging.config import TaggingConfig
from lm_envs.tagging.scheme import entities
from lm_envs.tagging.sentences import TaggedSentence, TaggedSentences
from lm_envs.tagging.whole_entities import WholeEntities
from lm_envs.tagging.word_tokens import WordTokens, word_tokens
from lm_envs.token_state import IntArray, Observation, TokenState
from lm_envs.vocabulary import Vocabulary, load_vocabulary

COLUMNS: tuple[str, ...] = ("words", "labels", "gold")
NO_LABEL = -1


class TaggingEpisodes(Episodes):
    """``num_rows`` sentences whose words are labelled one after the other."""

    def __init__(self, config: TaggingConfig, num_rows: int) -> None:
        """Load tokenizer, sentences and reward; fails on everything that could fail later.

        Args:
            config: The environment's arguments.
            num_rows: Number of episodes side by side.

        Raises:
            ConfigurationError: The observation is longer than what the model was built for.
            DataError: The data is malformed, or a sentence is too long and ``on_long_sentence="raise"``.
            ModelError: The model cannot be loaded.
            UnknownNameError: No such split, reward, model or column.
        """
        self.config = config
        loaded = config.load_sentences()
        rewards = config.load_reward()
        rewards.check_columns(COLUMNS)
        vocabulary = load_vocabulary(config.model, config.trust_remote_code, may_be_encoder=True)
        self.sentences = _fitting(loaded, vocabulary, config)
        scheme = self.sentences.scheme
        rule = WholeEntities(scheme, num_rows) if config.constrain else LegalActions(len(scheme.labels))
        state = TokenState(num_rows, config.max_tokens, vocabulary.pad_id)
        super().__init__(vocabulary, state, rule, config.split)
        self._check_length(f"max_tokens = {config.max_tokens}", config.max_tokens)
        self.payments = RewardPayments(rewards, num_rows, shaping=False)
        self.labels = np.full((num_rows, config.max_words), NO_LABEL, dtype=np.min_scalar_type(-len(scheme.labels)))
        self.n_labelled = np.zeros(num_rows, dtype=np.int64)
        self._n_words = np.zeros(num_rows, dtype=np.int64)
        self._last_tokens = np.zeros((num_rows, config.max_words), dtype=np.int64)
        self._rows = np.arange(num_rows)
        self._tokens: list[WordTokens] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the tokens out: the process that unpickles has, or makes, its own."""
        return {**self.__dict__, "_tokens": None}

    @property
    def n_starts(self) -> int:
        """Number of sentences in the split."""
        return len(self.sentences)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The label of each action."""
        return self.sentences.scheme.labels

    @property
    def observation_space(self) -> spaces.Dict:
        """The observation space of one row."""
        labels = spaces.Box(NO_LABEL, len(self.label_names) - 1, self.labels.shape[1:], self.labels.dtype.type)
        cursor = spaces.Box(0, self.config.max_tokens - 1, (1,), np.int32)
        return spaces.Dict({**super().observation_space.spaces, "cursor": cursor, "labels": labels})

    @property
    def _action_noun(self) -> str:
        return "label's number"

    @property
    def _out_of_range(self) -> str:
        return f"is none of the {len(self.label_names)} labels {', '.join(self.label_names)}"

    def observation(self) -> Observation:
        """What all rows see; see :class:`Episodes`."""
        return {**super().observation(), "cursor": self._cursors(self._rows), "labels": self.labels.copy()}

    def row_observation(self, row: int) -> Observation:
        """What one row sees; see :class:`Episodes`."""
        cursor = self._cursors(np.array([row]))[0]
        return {**super().row_observation(row), "cursor": cursor, "labels": self.labels[row].copy()}

    def _cursors(self, rows: IntArray) -> npt.NDArray[np.int32]:
        """Where the words that come next are, ``(k, 1)``; after the last word, that one."""
        word = np.minimum(self.n_labelled[rows], self._n_words[rows] - 1)
        return self._last_tokens[rows, word][:, None].astype(np.int32)

    def view(self, row: int, info: Mapping[str, Any] | None = None) -> EpisodeView:
        """What there is to see of the episode in a row; ``info`` is the one of its end."""
        sentence, labels = self._sentence(row), self._names(row)
        tagged = " ".join(f"{word}/{label}" for word, label in zip(sentence.words, labels, strict=False))
        pieces = (Piece(f"{sentence.text}\n", by_agent=False), Piece(tagged, by_agent=True))
        if info is not None:
            return EpisodeView.ended(pieces, info)
        return EpisodeView(pieces, self.payments.so_far(row), n_new_tokens=len(labels))

    def _sentence(self, row: int) -> TaggedSentence:
        return self.sentences[int(self.start_index[row])]

    def _names(self, row: int) -> list[str]:
        """The labels so far."""
        return [self.label_names[label] for label in self.labels[row, : self.n_labelled[row]]]

    def _start(
        self, rows: IntArray, indices: IntArray, generators: Sequence[np.random.Generator]
    ) -> list[dict[str, Any]]:
        """Begin with the sentences ``indices``."""
        tokens = [self.tokens[int(index)] for index in indices]
        lengths = np.array([len(item.ids) for item in tokens])
        ids = np.zeros((len(tokens), int(lengths.max())), dtype=np.int32)
        for k, (row, item) in enumerate(zip(rows, tokens, strict=True)):
            ids[k, : len(item.ids)] = item.ids
            self._last_tokens[row, : len(item.last)] = item.last
            self._n_words[row] = len(item.last)
        self.state.start(rows, ids, lengths)
        self.labels[rows] = NO_LABEL
        self.n_labelled[rows] = 0
        self.payments.start(rows)
        if isinstance(self.legal_actions, WholeEntities):
            self.legal_actions.begin(rows)
        return [{} for _ in rows]

    @property
    def tokens(self) -> list[WordTokens]:
        """The tokens of each sentence."""
        if self._tokens is None:
            self._tokens = word_tokens(self.sentences.sentences, self.vocabulary)
        return self._tokens

    def _step(self, actions: npt.NDArray[np.int64]) -> StepOutcome:
        """Label a word in every row."""
        self.labels[self._rows, self.n_labelled] = actions
        self.n_labelled += 1
        if isinstance(self.legal_actions, WholeEntities):
            self.legal_actions.chosen(actions)
        ended = np.flatnonzero(self.n_labelled == self._n_words)
        rewards = np.zeros(self.num_rows)
        infos: list[dict[str, Any]] = []
        if self.payments.every_step or ended.size:
            completions = self._completions(self._rows if self.payments.every_step else ended)
            payment = self.payments.pay(completions, ended)
            rewards = payment.rewards
            finished = completions.take(ended) if self.payments.every_step else completions
            infos = [self._info(int(row), k, finished, payment) for k, row in enumerate(ended)]
        return StepOutcome(rewards, ended, infos, {})

    def _completions(self, rows: IntArray) -> Completions:
        """What rewards read about ``rows``."""
        sentences, labels = [self._sentence(row) for row in rows], [self._names(row) for row in rows]
        columns: dict[str, Sequence[Any]] = {
            "words": [list(sentence.words) for sentence in sentences],
            "labels": labels,
            "gold": [list(sentence.labels) for sentence in sentences],
            "prompt_ids": [self.state.prompt_ids(row).tolist() for row in rows],
            "completion_ids": [self.labels[row, : self.n_labelled[row]].tolist() for row in rows],
        }
        return Completions([sentence.text for sentence in sentences], [" ".join(names) for names in labels], columns)

    def _info(self, row: int, k: int, finished: Completions, payment: Payment) -> dict[str, Any]:
        """The info of the episode that ended in ``row``, the ``k``-th of those that ended."""
        own = {name: finished.columns[name][k] for name in COLUMNS}
        info = {
            "prompt": finished.prompts[k],
            "completion": finished.texts[k],
            "stop_reason": "labelled",
            "n_new_tokens": int(self.n_labelled[row]),
            "prompt_index": int(self.start_index[row]),
            "reward_terms": {name: float(values[k]) for name, values in payment.terms.items()},
            **own,
            "is_success": entities(own["labels"]) == entities(own["gold"]),
        }
        if payment.token_rewards is not None:
            info["token_rewards"] = [float(value) for value in payment.token_rewards[k]]
        return info


def _fitting(loaded: TaggedSentences, vocabulary: Vocabulary, config: TaggingConfig) -> TaggedSentences:
    """The sentences, those that are too long without their ends."""
    tokens = word_tokens(loaded.sentences, vocabulary)
    n_words, n_tokens = np.array([(len(item.last), len(item.ids)) for item in tokens]).T
    too_long = np.flatnonzero((n_words > config.max_words) | (n_tokens > config.max_tokens))
    if too_long.size and config.on_long_sentence == "raise":
        first = int(too_long[0])
        raise DataError(
            f"{too_long.size} of {len(loaded)} sentences have more than max_words={config.max_words} words or "
            f"max_tokens={config.max_tokens} tokens, the first is sentence {first + 1} with {n_words[first]} words and "
            f"{n_tokens[first]} tokens: {loaded[first].text!r:.80}. Set max_words={n_words.max()} and max_tokens="
            f"{n_tokens.max()} or more, or on_long_sentence='truncate' to leave out the ends of long sentences"
        )
    sentences = list(loaded.sentences)
    room = config.max_tokens - vocabulary.tokenizer.num_special_tokens_to_add()
    for number in too_long:
        keep = min(config.max_words, int(np.searchsorted(tokens[number].last, room)))
        if keep == 0:
            raise DataError(
                f"the first word of sentence {number + 1}, {sentences[number].words[0]!r:.80}, has more than "
                f"max_tokens={config.max_tokens} tokens. Raise max_tokens"
            )
        whole = sentences[number]
        sentences[number] = TaggedSentence(whole.words[:keep], whole.labels[:keep])
    return TaggedSentences(sentences, loaded.scheme) if too_long.size else loaded
