"""``lm-envs play --agent``: the person is the user of ``Dialogue-v0``, and sees the agent's turns being written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from rich.text import Text

from agents.cli.messages import console, printable
from agents.cli.play import read_line
from lm_envs.dialogue.partners import Message, Opening, Partners, Reply
from lm_envs.errors import ConfigurationError

if TYPE_CHECKING:
    from agents.cli.targets import Target
    from lm_envs.vocabulary import Vocabulary

FAREWELLS = ("bye", "goodbye", "good bye", "exit", "quit")
MOST_TURNS = 1_000_000


def talk(
    agent: str, overrides: Mapping[str, Any], temperature: float | None, deterministic: bool, device: str, seed: int
) -> None:
    """One conversation with an agent, until the person ends it.

    Args:
        agent: Run folder, saved zip, or the name of a model.
        overrides: Arguments of ``Dialogue-v0`` that replace the run's own.
        temperature: Instead of the policy's.
        deterministic: Greedy turns.
        device: Where the policy runs.
        seed: Seed of the sampling.

    Raises:
        ConfigurationError: The agent was trained in another environment, or chooses dialogue acts.
    """
    target = _load(agent, overrides, device)
    console().print("You are the user. An empty line or goodbye ends the conversation.", style="dim")
    first = read_line()
    if not is_farewell(first):
        _converse(target, first, temperature, deterministic, seed)


def _load(agent: str, overrides: Mapping[str, Any], device: str) -> Target:
    from agents.cli.targets import find_source

    source = find_source(agent, "Dialogue-v0", overrides)
    if source.trained_in not in (None, "Dialogue-v0"):
        raise ConfigurationError(
            f"{agent} was trained in {source.trained_in}, where nobody answers: talk to an agent of Dialogue-v0, or to "
            "a model by its name."
        )
    if source.env_kwargs.get("actions") == "acts":
        raise ConfigurationError(
            f"{agent} chooses dialogue acts by what a simulated user has said; it cannot talk to a person. Talk to an "
            "agent that writes: one trained with actions='tokens', or a model by its name."
        )
    with console().status("loading the model"):
        return source.load(device)


def _converse(target: Target, first: str, temperature: float | None, deterministic: bool, seed: int) -> None:
    """Let the policy act where the person is the partner."""
    import gymnasium as gym

    from agents.evaluation.generation import at_temperature, seeded
    from lm_envs.vocabulary import load_vocabulary

    left_out = ("partner", "partner_kwargs", "dataset", "reward", "on_overflow", "max_turns")
    kwargs = {key: value for key, value in target.env_kwargs.items() if key not in left_out}
    voice = Voice(load_vocabulary(kwargs["model"], kwargs.get("trust_remote_code", False)))
    person = {"voice": voice, "first": first}
    own: dict[str, Any] = {"partner": Person, "partner_kwargs": person, "reward": no_reward, "on_overflow": "drop"}
    envs: Any = gym.make_vec(
        target.env_id, num_envs=1, vectorization_mode="vector_entry_point", max_turns=MOST_TURNS, **kwargs, **own
    )
    envs = Overheard(envs, voice.hear)
    if target.wrapper is not None:
        envs = target.wrapper(envs)
    policy: Any = target.policy
    obs, _ = envs.reset(seed=seed)
    ended = False
    with seeded(seed), at_temperature(policy, temperature):
        while not ended:
            actions, _ = policy.predict(obs, deterministic=deterministic)
            obs, _, terminated, truncated, _ = envs.step(actions)
            ended = bool((terminated | truncated)[0])
    envs.close()


def is_farewell(text: str) -> bool:
    """Whether the person wants to end the conversation."""
    words = "".join(character for character in text.lower() if character.isalpha() or character == " ").strip()
    return not text.strip() or words in FAREWELLS


def no_reward(prompts: Sequence[str], completions: Sequence[str], **columns: Any) -> list[float]:
    """0: a person's conversation is not scored."""
    return [0.0 for _ in completions]


class Voice:
    """Shows the agent's turn while it is being written.

    Args:
        vocabulary: The tokens.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._ids: list[int] = []
        self._shown = ""

    def hear(self, token: int) -> None:
        """Show what a token adds, once its last character is complete."""
        if not self._ids:
            console().print(Text("agent   ", "dim"), end="")
        self._ids.append(token)
        text = self._text()
        if not text.endswith("\N{REPLACEMENT CHARACTER}"):
            self._show(text)

    def pause(self) -> None:
        """End the turn's line."""
        self._show(self._text())
        console().print()
        self._ids, self._shown = [], ""

    def _text(self) -> str:
        return self._vocabulary.decode([self._ids])[0]

    def _show(self, text: str) -> None:
        if text.startswith(self._shown):
            console().print(Text(printable(text[len(self._shown) :]), "bold"), end="", soft_wrap=True)
            self._shown = text


class Overheard(VectorWrapper):
    """Tells somebody every token that the first environment is given.

    Args:
        env: A vector environment whose actions are tokens.
        hear: Who is told.
    """

    def __init__(self, env: VectorEnv, hear: Callable[[int], None]) -> None:
        super().__init__(env)
        self._hear = hear

    def step(self, actions: np.ndarray) -> Any:
        """Tell, then step."""
        self._hear(int(actions[0]))
        return self.env.step(actions)


class Person(Partners):
    """The user is the person at the terminal.

    Args:
        num_rows: 1.
        voice: What shows the agent's turns.
        first: What the person has said first.
    """

    def __init__(self, num_rows: int, voice: Voice, first: str) -> None:
        self._voice = voice
        self._first = first

    def open(self, rows: Sequence[int], scenarios: Sequence[int], rngs: Sequence[np.random.Generator]) -> list[Opening]:
        """Begin with what was said first; the environment also asks once more when all is over."""
        return [Opening([Message(role="user", content=self._first)]) for _ in rows]

    def reply(self, rows: Sequence[int], histories: Sequence[list[Message]]) -> list[Reply]:
        """Let the person answer."""
        self._voice.pause()
        _show_act(histories[0])
        typed = read_line()
        return [Reply(typed, done=is_farewell(typed))]


def _show_act(history: Sequence[Message]) -> None:
    """What the small world's grammar makes of the agent's turn, given what the person has said; if anything."""
    from lm_envs.world.understanding import understand

    domain: str | None = None
    for message in history[:-1]:
        heard = understand("user", message["content"], domain) if message["role"] == "user" else None
        domain = (heard and heard.domain) or domain
    found = understand("assistant", history[-1]["content"], domain)
    if found is not None:
        values = " ".join(f"{slot}={value!r}" for slot, value in found.slots.items())
        console().print(Text(f"        [{found.act}{' ' + values if values else ''}]", "dim"), soft_wrap=True)
