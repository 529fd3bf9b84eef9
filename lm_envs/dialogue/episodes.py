"""Conversations that run side by side: the core under the single and the vector environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from lm_envs.dialogue.config import DialogueConfig
from lm_envs.dialogue.conversation import Conversation
from lm_envs.dialogue.framing import ChatFrames
from lm_envs.dialogue.partners import Acts, Message, Opening, Reply
from lm_envs.dialogue.partners.replies import checked_openings, checked_replies, partner_failures, partner_name
from lm_envs.dialogue.room import Room
from lm_envs.dialogue.turn_rewards import TurnRewards
from lm_envs.episodes import Episodes, StepOutcome
from lm_envs.legal_actions import LegalActions
from lm_envs.payments import Completions
from lm_envs.rendering import EpisodeView
from lm_envs.rewards.combination import DIALOGUE_COLUMNS
from lm_envs.stopping import EOS, StopRule
from lm_envs.token_state import IntArray, Observation, TokenState
from lm_envs.vocabulary import load_vocabulary


class _Turn(NamedTuple):
    """A turn of the agent that has ended."""

    row: int
    talk: Conversation
    text: str
    ids: list[int]
    user_turn: str  # what it answers


class DialogueEpisodes(Episodes):
    """Token states, partners, rewards and infos of ``num_rows`` conversations.

    Partner and rewards are called once a step, for all rows where a turn ended.
    """

    def __init__(self, config: DialogueConfig, num_rows: int) -> None:
        """Load tokenizer, partners and reward; fails on everything that could fail later.

        Args:
            config: The environment's arguments.
            num_rows: Number of conversations side by side.

        Raises:
            ConfigurationError: Turns do not fit into ``max_tokens``, or that is more than what the model was built for;
                or an act may become a text that is longer than ``max_turn_tokens``.
            DataError: The partner's data are malformed.
            ModelError: The model cannot be loaded, or its chat template is missing or cannot be used.
            UnknownNameError: No such partner, split, reward or column.
        """
        self.config = config
        self.partners = config.load_partners(num_rows)
        vocabulary = load_vocabulary(config.model, config.trust_remote_code)
        acts = self.partners.acts if config.actions == "acts" else None
        legal_actions = LegalActions(vocabulary.size if acts is None else len(acts.names))
        state = TokenState(num_rows, config.max_tokens, vocabulary.pad_id)
        super().__init__(vocabulary, state, legal_actions, config.split)
        self._check_length(f"max_tokens = {config.max_tokens}", config.max_tokens)
        rewards = config.load_reward(self.partners)
        rewards.check_columns((*self.partners.columns, *DIALOGUE_COLUMNS))
        self.rewards = TurnRewards(rewards, num_rows)
        self.frames = ChatFrames(vocabulary)
        self.room = Room(config, self.frames)
        ends = sorted({*vocabulary.eos_ids, self.frames.turn_end_id})
        self.stop_rule = StopRule(vocabulary, tuple(config.stop or ()), config.max_turn_tokens, end_ids=ends)
        self.acts: Acts | None = acts
        if acts is not None:
            self.room.turns(acts.longest_phrases(lambda word: len(self.frames.token_ids([f" {word}"])[0])))
        self.phrasing = None if acts is None else self._make_phrasing(acts, num_rows)
        self.conversations: list[Conversation | None] = [None] * num_rows

    def _make_phrasing(self, acts: Acts, num_rows: int) -> Any:
        """What turns acts into text."""
        if self.config.phrasing == "template":
            from lm_envs.dialogue.templates import TemplatePhrasing

            return TemplatePhrasing(acts)
        from lm_envs.dialogue.phrasing import LanguageModelPhrasing

        return LanguageModelPhrasing(acts, self.config, num_rows, [self.frames.turn_end_id, *self.vocabulary.eos_ids])

    @property
    def act_names(self) -> tuple[str, ...]:
        """The dialogue acts that actions choose from; empty where they are tokens."""
        return () if self.acts is None else tuple(self.acts.names)

    @property
    def n_starts(self) -> int:
        """Number of scenarios in the split."""
        return self.partners.n_scenarios

    @property
    def observation_space(self) -> spaces.Dict:
        """The observation space of one row."""
        space = super().observation_space
        if self.acts is None:
            return space
        return spaces.Dict({**space.spaces, "dialogue_state": spaces.Box(0, 1, (self.acts.state_size,), np.int8)})

    def observation(self) -> Observation:
        """What all rows see: fresh arrays, each with a leading axis of ``num_rows``."""
        observation = super().observation()
        if self.acts is not None:
            states = [self.acts.state(row) for row in range(self.num_rows)]
            observation["dialogue_state"] = np.stack(states).astype(np.int8, copy=False)
        return observation

    def row_observation(self, row: int) -> Observation:
        """What one row sees: fresh arrays."""
        observation = super().row_observation(row)
        if self.acts is not None:
            observation["dialogue_state"] = np.array(self.acts.state(row), dtype=np.int8)
        return observation

    @property
    def _action_noun(self) -> str:
        return super()._action_noun if self.acts is None else "dialogue act's number"

    @property
    def _out_of_range(self) -> str:
        if self.acts is None:
            return super()._out_of_range
        return f"is none of the {len(self.acts.names)} dialogue acts: {', '.join(self.acts.names)}"

    def view(self, row: int, info: Mapping[str, Any] | None = None) -> EpisodeView:
        """What there is to see of the conversation in a row; ``info`` is the one of its end."""
        talk = self._talk(row)
        if info is not None:
            return EpisodeView.ended(talk.pieces(), info)
        running = self._texts([row])[0]
        n_tokens = len(talk.agent_ids) + int(self.state.new_lengths[row])
        return EpisodeView(talk.pieces(running), self.rewards.so_far(row), n_new_tokens=n_tokens)

    def _talk(self, row: int) -> Conversation:
        talk = self.conversations[row]
        assert talk is not None
        return talk

    # -- beginning ---------------------------------------------------------------------------------------------------

    def _start(
        self, rows: IntArray, indices: IntArray, generators: Sequence[np.random.Generator]
    ) -> list[dict[str, Any]]:
        """Begin with the scenarios ``indices``."""
        with partner_failures(partner_name(self.partners), rows.tolist()):
            openings = self.partners.open(rows.tolist(), indices.tolist(), generators)
        openings = checked_openings(self.partners, rows.tolist(), openings)
        for row, rng, opening in zip(rows.tolist(), generators, openings, strict=True):
            messages, ids = self.room.opening([*self._system(opening), *_spoken(opening)])
            n_tokens = len(ids)
            self.conversations[row] = Conversation(
                messages, len(messages), rng, opening.columns, ids, [n_tokens], [messages[-1]["content"]]
            )
            self.state.start(np.array([row]), np.array([ids]), np.array([n_tokens]))
        self.rewards.start(rows)
        return [
            {**opening.info, "user_turn": self._talk(row).user_turn}
            for row, opening in zip(rows.tolist(), openings, strict=True)
        ]

    def _system(self, opening: Opening) -> list[Message]:
        """The system message: the environment's, else the partner's, if any."""
        if self.config.system is not None:
            return [{"role": "system", "content": self.config.system}]
        return [message for message in opening.messages[:1] if message["role"] == "system"]

    # -- turns -------------------------------------------------------------------------------------------------------

    def _step(self, actions: npt.NDArray[np.int64]) -> StepOutcome:
        """Append a token to every row, or a whole turn where the actions are dialogue acts."""
        if self.acts is not None:
            self._write_acts(actions)
            rows = np.arange(self.num_rows)
            return self._end_turns(rows, np.zeros(self.num_rows, dtype=np.bool_))
        self.state.append(actions)
        reasons = self.stop_rule.reasons(self.state, actions)
        rows = np.flatnonzero(reasons)
        if not rows.size:
            return StepOutcome(np.zeros(self.num_rows), rows, [], {})
        closed = (reasons[rows] == EOS) & (actions[rows] != self.frames.turn_end_id)
        return self._end_turns(rows, closed)

    def _write_acts(self, actions: npt.NDArray[np.int64]) -> None:
        """Append the turn that each row's act becomes."""
        assert self.phrasing is not None
        rows = list(range(self.num_rows))
        before = [self.state.prompt_ids(row) for row in rows]
        texts = self.phrasing.phrase(rows, actions.tolist(), before, [self._talk(row).rng for row in rows])
        for row, ids in zip(rows, self.room.turns(texts), strict=True):
            self.state.extend(row, ids)

    def _end_turns(self, rows: npt.NDArray[np.intp], closed: npt.NDArray[np.bool_]) -> StepOutcome:
        """Let the partner answer, go on where the conversation does, and pay.

        Args:
            rows: The rows whose turn has ended, ``(k,)``.
            closed: Whether the agent has closed the conversation, ``(k,)``.
        """
        turns = [
            _Turn(int(row), self._talk(row), text, self.state.completion_ids(row).tolist(), self._talk(row).user_turn)
            for row, text in zip(rows, self._texts(rows), strict=True)
        ]
        for turn in turns:
            turn.talk.say("assistant", turn.text)
            turn.talk.n_turns += 1
            turn.talk.agent_ids += turn.ids
        histories = [turn.talk.messages for turn in turns]
        with partner_failures(partner_name(self.partners), rows.tolist(), histories[0]):
            replies = self.partners.reply(rows.tolist(), histories)
        replies = checked_replies(self.partners, rows.tolist(), replies, histories)
        reasons = [
            self._stop_reason(turn.talk, *rest) for turn, *rest in zip(turns, replies, closed.tolist(), strict=True)
        ]
        for turn, reply, reason in zip(turns, replies, reasons, strict=True):
            if reason and reply.text:
                turn.talk.say("user", reply.text)
        self._go_on(turns, replies, reasons)
        return self._outcome(turns, replies, reasons)

    def _stop_reason(self, talk: Conversation, reply: Reply, closed: bool) -> str:
        """Why a conversation ends; empty if it goes on."""
        if reply.done:
            return "done" if reply.success is None else "goal" if reply.success else "user_left"
        if closed:
            return "agent_closed"
        return "max_turns" if talk.n_turns >= self.config.max_turns else ""

    def _go_on(self, turns: Sequence[_Turn], replies: Sequence[Reply], reasons: list[str]) -> None:
        """Append the user's turns where the conversation goes on; ``reasons`` gets those that find no room."""
        going = [k for k, reason in enumerate(reasons) if not reason]
        ended = [turns[k].ids[-1] == self.frames.turn_end_id for k in going]
        texts, answers = self.room.answers([replies[k].text for k in going], ended)
        for k, text, ids in zip(going, texts, answers, strict=True):
            turns[k].talk.say("user", text)
            if not self.room.append(self.state, turns[k].row, turns[k].talk, ids):
                reasons[k] = "max_tokens"

    def _outcome(self, turns: Sequence[_Turn], replies: Sequence[Reply], reasons: Sequence[str]) -> StepOutcome:
        """Pay for the turns, and describe them and the conversations that ended."""
        over = [k for k, reason in enumerate(reasons) if reason]
        rows = np.array([turn.row for turn in turns], dtype=np.intp)
        done = np.array([bool(reason) for reason in reasons])
        columns = self._columns(turns, replies, done)
        payment = self.rewards.pay(rows, _scored_turns(turns, columns), rows[over], _scored_talks(turns, columns, over))
        infos = [self._info(turn, reply) for turn, reply in zip(turns, replies, strict=True)]
        for place, k in enumerate(over):
            infos[k] = self._columns_told(turns[k]) | infos[k] | self._final_info(turns[k], replies[k], reasons[k])
            infos[k]["reward_terms"] = {name: float(values[place]) for name, values in payment.terms.items()}
            if payment.token_rewards is not None and self.acts is None:
                infos[k]["token_rewards"] = [float(value) for value in payment.token_rewards[place]]
        running = {turn.row: infos[k] for k, turn in enumerate(turns) if not reasons[k]}
        return StepOutcome(payment.rewards, rows[over], [infos[k] for k in over], running)

    def _columns(
        self, turns: Sequence[_Turn], replies: Sequence[Reply], done: npt.NDArray[np.bool_]
    ) -> dict[str, Sequence[Any]]:
        """What rewards receive besides texts and token ids."""
        own = {name: [turn.talk.columns[name] for turn in turns] for name in self.partners.columns}
        return {
            **own,
            "messages": [turn.talk.messages for turn in turns],
            "turn": [turn.talk.n_turns for turn in turns],
            "done": done.tolist(),
            "success": [reply.success for reply in replies],
            "partner_terms": [reply.terms for reply in replies],
            "turn_info": [reply.info for reply in replies],
        }

    def _info(self, turn: _Turn, reply: Reply) -> dict[str, Any]:
        """What is told about every turn."""
        said = {"agent_turn": turn.text, "user_turn": turn.talk.reply, "turn": turn.talk.n_turns}
        return {**reply.info, **said}

    @staticmethod
    def _columns_told(turn: _Turn) -> dict[str, Any]:
        """The partner's columns, which give way to the environment's own infos; only a reply tells success."""
        return {name: value for name, value in turn.talk.columns.items() if name != "is_success"}

    def _final_info(self, turn: _Turn, reply: Reply, reason: str) -> dict[str, Any]:
        """What is told about a conversation that has ended, but for its rewards."""
        talk = turn.talk
        success = {} if reply.success is None else {"is_success": bool(reply.success)}
        return {
            "prompt": talk.prompt,
            "completion": talk.completion,
            "messages": talk.messages,
            "stop_reason": reason,
            "n_new_tokens": len(talk.agent_ids),
            "n_turns": talk.n_turns,
            "prompt_index": int(self.start_index[turn.row]),
            **success,
        }

    def _texts(self, rows: IntArray | Sequence[int]) -> list[str]:
        """The agent's latest turn in ``rows``, without special tokens and cut before a stop string."""
        texts = self.vocabulary.decode([self.state.completion_ids(row).tolist() for row in rows])
        return [self.stop_rule.cut(text) for text in texts]


def _scored_turns(turns: Sequence[_Turn], columns: Mapping[str, Sequence[Any]]) -> Completions:
    """What rewards for turns are called with."""
    ids = {"completion_ids": [turn.ids for turn in turns]}
    return Completions([turn.user_turn for turn in turns], [turn.text for turn in turns], {**columns, **ids})


def _scored_talks(turns: Sequence[_Turn], columns: Mapping[str, Sequence[Any]], over: Sequence[int]) -> Completions:
    """What rewards for whole conversations are called with: those that have ended, numbers ``over``."""
    talks = [turns[k].talk for k in over]
    of_talks: dict[str, Sequence[Any]] = {name: [values[k] for k in over] for name, values in columns.items()}
    of_talks["prompt_ids"] = [talk.opening_ids for talk in talks]
    of_talks["completion_ids"] = [talk.agent_ids for talk in talks]
    return Completions([talk.prompt for talk in talks], [talk.completion for talk in talks], of_talks)


def _spoken(opening: Opening) -> list[Message]:
    return [message for message in opening.messages if message["role"] != "system"]
