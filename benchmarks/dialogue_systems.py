"""The two sides of the dialogue comparison: turns with a user in between, and one text of the same length."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from agents import make_lm_vec_env
from benchmarks.systems import Outcome, run_project
from benchmarks.workload import Workload, even_share
from lm_envs.data import PromptDataset
from lm_envs.dialogue.framing import ChatFrames
from lm_envs.dialogue.partners import Message, Opening, Reply
from lm_envs.dialogue.partners.agenda import AgendaPartners
from lm_envs.vocabulary import Vocabulary, load_vocabulary
from lm_envs.world import dialogue_items

TIRELESS = 2**20
"""Patience of a user that never leaves."""

TOLERATED = 0.01
"""Share of episodes that may be shorter: by chance the model writes the token that it hardly ever writes."""


class Clock:
    """Seconds of processor time that have been spent between ``with clock:`` and the end of the block."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._start = 0.0

    def __enter__(self) -> None:
        self._start = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.process_time() - self._start


class SteadyPartners(AgendaPartners):
    """The simulated users of the help desk, who do all their work, but never leave and speak turns of one length.

    What they say is a turn of the small world's users of that length, whatever they would have said.

    Args:
        num_rows: Number of conversations side by side.
        model: Whose tokens are counted.
        split: Whose goals.
        user_tokens: Number of tokens of every turn of the user.
        clock: Runs while they work.
    """

    def __init__(self, num_rows: int, model: str, split: str, user_tokens: int, clock: Clock) -> None:
        super().__init__(num_rows, split=split, patience=(TIRELESS, TIRELESS))
        self._texts = texts_of_length(load_vocabulary(model), user_tokens)
        self._rng = np.random.default_rng(0)
        self._clock = clock

    def open(self, rows: Sequence[int], scenarios: Sequence[int], rngs: Sequence[np.random.Generator]) -> list[Opening]:
        """Begin conversations."""
        with self._clock:
            found = super().open(rows, scenarios, rngs)
            return [Opening([{"role": "user", "content": self._text()}], each.columns, each.info) for each in found]

    def reply(self, rows: Sequence[int], histories: Sequence[list[Message]]) -> list[Reply]:
        """Answer the agent's turns."""
        with self._clock:
            found = super().reply(rows, histories)
            return [Reply(self._text(), False, each.terms, each.success, each.info) for each in found]

    def _text(self) -> str:
        return self._texts[int(self._rng.integers(len(self._texts)))]


class OutOfStep(VecEnvWrapper):
    """Lets episodes begin one after the other, so that not all rows end a turn at once; and clocks the steps.

    Args:
        venv: The environments.
        n_phases: Row ``i`` begins ``i % n_phases`` steps after the first; 1: all begin at once.
        tokens: Ids of tokens to write meanwhile.
        partner: The clock of the partners.

    Attributes:
        laps: For each step since the reset, the seconds that it took, and those of the partners among them.
    """

    def __init__(self, venv: VecEnv, n_phases: int, tokens: np.ndarray, partner: Clock) -> None:
        super().__init__(venv)
        self.laps: list[tuple[float, float]] = []
        self._phases = np.arange(self.num_envs) % n_phases
        self._tokens = tokens
        self._partner = partner

    def reset(self) -> VecEnvObs:
        """Begin the episodes; row ``i`` is then ``n_phases - 1 - i % n_phases`` tokens into its own."""
        rng = np.random.default_rng(0)
        obs = self.venv.reset()
        for phase in range(1, int(self._phases.max()) + 1):
            self.venv.step(rng.choice(self._tokens, size=self.num_envs))
            self.venv.set_options({"reset_mask": self._phases == phase})
            obs = self.venv.reset()
        self.laps.clear()
        return obs

    def step_wait(self) -> VecEnvStepReturn:
        """Finish the step."""
        before = self._partner.seconds
        clock = Clock()
        with clock:
            result = self.venv.step_wait()
        self.laps.append((clock.seconds, self._partner.seconds - before))
        return result


class WholeBudget(VecEnvWrapper):
    """Counts the episodes of any other length than the one wanted: their speed would be another one.

    Args:
        venv: The environments.
        new_tokens: Tokens that the agent writes in an episode.
        prompt_tokens: All other tokens of the episode.

    Attributes:
        n_episodes: Episodes that have ended.
        others: Lengths of those that were not as wanted: tokens of the agent, and all tokens.
    """

    def __init__(self, venv: VecEnv, new_tokens: int, prompt_tokens: int) -> None:
        super().__init__(venv)
        self.n_episodes = 0
        self.others: list[tuple[int, int]] = []
        self._wanted = new_tokens, new_tokens + prompt_tokens

    def reset(self) -> VecEnvObs:
        """Reset the environments."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Finish the step, and count."""
        obs, rewards, dones, infos = self.venv.step_wait()
        for row in np.flatnonzero(dones):
            length = int(infos[row]["terminal_observation"]["attention_mask"].sum())
            found = infos[row]["n_new_tokens"], length
            self.n_episodes += 1
            if found != self._wanted:
                self.others.append(found)
        return obs, rewards, dones, infos

    def check(self) -> None:
        """Raise a RuntimeError where more episodes than the tolerated share had another length."""
        if len(self.others) > TOLERATED * self.n_episodes:
            raise RuntimeError(
                f"{len(self.others)} of {self.n_episodes} episodes did not have {self._wanted[0]} tokens of the agent "
                f"and {self._wanted[1]} in all, but for example {self.others[0]}: their speed would mean nothing"
            )


def run_dialogue(workload: Workload, n_phases: int = 1) -> Outcome:
    """PPO in dialogues of ``n_turns``, with the users' rules, frames, rewards and infos."""
    clock = Clock()
    env_kwargs = {
        "model": workload.model,
        "partner": SteadyPartners,
        "partner_kwargs": {"user_tokens": workload.user_tokens, "clock": clock},
        "max_tokens": workload.prompt_tokens + workload.new_tokens,
        "max_turns": workload.n_turns,
        "max_turn_tokens": _turn_tokens(workload),
        "max_user_tokens": workload.user_tokens,
    }
    venv = make_lm_vec_env("Dialogue-v0", workload.n_envs, workload.seed, env_kwargs)
    return _run(workload, venv, n_phases, clock)


def run_textgen(workload: Workload, n_phases: int = 1) -> Outcome:
    """PPO on one text: all tokens that are not the agent's come first, as its prompt."""
    env_kwargs = {
        "model": workload.model,
        "dataset": PromptDataset(prompts(load_vocabulary(workload.model), workload.prompt_tokens)),
        "reward": even_share,
        "max_prompt_tokens": workload.prompt_tokens,
        "max_new_tokens": workload.new_tokens,
    }
    venv = make_lm_vec_env("TextGen-v0", workload.n_envs, workload.seed, env_kwargs)
    return _run(workload, venv, n_phases, Clock())


def run_dialogue_ragged(workload: Workload) -> Outcome:
    """The same dialogues, begun one after the other, so that some rows end a turn in every step."""
    return run_dialogue(workload, _turn_tokens(workload))


def run_textgen_ragged(workload: Workload) -> Outcome:
    """The same texts, begun one after the other in the same way."""
    return run_textgen(workload, _turn_tokens(workload))


SYSTEMS: dict[str, Callable[[Workload], Outcome]] = {
    "dialogue": run_dialogue,
    "textgen": run_textgen,
    "dialogue_ragged": run_dialogue_ragged,
    "textgen_ragged": run_textgen_ragged,
}


def _turn_tokens(workload: Workload) -> int:
    return workload.new_tokens // workload.n_turns


def _run(workload: Workload, venv: VecEnv, n_phases: int, partner: Clock) -> Outcome:
    vocabulary = load_vocabulary(workload.model)
    tokens = np.setdiff1d(np.arange(vocabulary.size), vocabulary.tokenizer.all_special_ids)
    counted = WholeBudget(venv, workload.new_tokens, workload.prompt_tokens)
    clocked = OutOfStep(counted, n_phases, tokens, partner)
    outcome = run_project(workload, clocked)
    counted.check()
    laps = np.array(clocked.laps[-workload.iterations * workload.new_tokens :])
    seconds = sum(iteration["rollout"] for iteration in outcome.iterations)
    environment, partners = laps.sum(axis=0) / seconds
    return outcome._replace(shares={"environment": float(environment), "partner": float(partners)})


def world_tokens(model: str, n_turns: int, user_tokens: int) -> int:
    """Tokens of a dialogue that are not the agent's: the user's turns, and the chat template's frames."""
    frames = ChatFrames(load_vocabulary(model))
    opening = len(frames.opening([{"role": "user", "content": ""}]))
    return opening + (n_turns - 1) * frames.answer_length(False) + n_turns * user_tokens


def texts_of_length(vocabulary: Vocabulary, n_tokens: int) -> list[str]:
    """The different turns of the small world's users that have ``n_tokens`` tokens.

    Raises:
        ValueError: There are none.
    """
    turns = (turn.text for dialogue in dialogue_items("train") for turn in dialogue.turns if turn.role == "user")
    texts = list(dict.fromkeys(turns))
    lengths = ChatFrames(vocabulary).lengths(texts)
    found = [text for text, length in zip(texts, lengths, strict=True) if length == n_tokens]
    if not found:
        raise ValueError(f"no user says anything of {n_tokens} tokens; the lengths are {sorted(set(lengths))}")
    return found


def prompts(vocabulary: Vocabulary, n_tokens: int) -> list[str]:
    """Dialogues of the small world as plain texts of at least ``n_tokens`` tokens."""
    texts = [" ".join(turn.text for turn in dialogue.turns) for dialogue in dialogue_items("train")]
    most = max(ChatFrames(vocabulary).lengths(texts))
    joined = -(-n_tokens // (most // 8))
    return [" ".join(texts[i : i + joined]) for i in range(0, len(texts) - joined, joined)]


def prepare_model(name: str, folder: Path) -> str:
    """Save a model whose chat template ends turns by a token that the model hardly ever writes.

    So the turns of the agent take their whole budget.

    Args:
        name: Alias, hub id or folder; its tokenizer has the token ``<|system|>``, and no system message is written.
        folder: Where to save.

    Returns:
        ``folder`` as a string.
    """
    from lm_envs.models import load_language_model, load_tokenizer
    from lm_envs.models.quiet import quiet_transformers

    model: Any = copy.deepcopy(load_language_model(name))  # everybody who loads it shares one instance
    tokenizer: Any = copy.deepcopy(load_tokenizer(name))
    tokenizer.chat_template = tokenizer.chat_template.replace("<|endofturn|>", "<|system|>")
    tokenizer.eos_token = "<|system|>"
    for config in (model.config, model.generation_config):
        config.eos_token_id = tokenizer.eos_token_id
    with quiet_transformers(progress_bars=False):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)
