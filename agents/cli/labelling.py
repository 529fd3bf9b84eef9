"""``lm-envs play Tagging-v0``: the person labels the words of sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from agents.cli.display import rewards_line, spoken, tagged_sentence
from agents.cli.messages import console, say
from lm_envs.errors import ConfigurationError, LMEnvsError, UnknownNameError

MOST_SENTENCES = 1_000


def play_labels(env_kwargs: dict[str, Any], split: str, seed: int) -> None:
    """One sentence after the other until the player has enough, or there are no more.

    Args:
        env_kwargs: Arguments of ``Tagging-v0``, without ``split``.
        split: Where the sentences are from.
        seed: Chooses them.
    """
    import gymnasium as gym

    import lm_envs  # noqa: F401 - registers the environments
    from agents.cli.play import show_mean
    from agents.evaluation.prompts import choose_prompts

    env = gym.make("Tagging-v0", **{**env_kwargs, "split": split})
    names: Sequence[str] = env.unwrapped.label_names  # type: ignore[attr-defined]
    console().print(Text(f"labels  {' '.join(names)}", style="dim"), soft_wrap=True)
    console().print("One label for each word; O for those that you leave out at the end.", style="dim", soft_wrap=True)
    returns: list[float] = []
    for index in choose_prompts(env_kwargs, split, MOST_SENTENCES, seed, "Tagging-v0").tolist():
        env.reset(seed=seed, options={"index": index})
        sentence = env.unwrapped.messages[0]["content"].rstrip()  # type: ignore[attr-defined]
        console().print(spoken("words", sentence), soft_wrap=True)
        labels = _ask(names, len(sentence.split(" ")))
        if labels is None:
            break
        returns.append(_show(_label(env, labels)))
    env.close()
    show_mean(returns, "sentence")


def _ask(names: Sequence[str], n_words: int) -> list[int] | None:
    """The labels that the player types, once they can be read; None where the player has had enough."""
    from agents.cli.play import read_line

    while True:
        typed = read_line().split()
        if not typed:
            return None
        try:
            return read_labels(typed, names, n_words)
        except LMEnvsError as error:
            say("error", "red", str(error))


def read_labels(typed: Sequence[str], names: Sequence[str], n_words: int) -> list[int]:
    """Numbers of the labels, in upper or lower case; ``O`` for the words that are left over.

    Raises:
        ConfigurationError: There are more labels than words.
        UnknownNameError: There is no such label.
    """
    if len(typed) > n_words:
        raise ConfigurationError(f"got {len(typed)} labels for {n_words} words: type one for each, in their order.")
    by_lower = {name.lower(): number for number, name in enumerate(names)}
    for label in typed:
        if label.lower() not in by_lower:
            raise UnknownNameError.for_name("label", label, names)
    return [by_lower[label.lower()] for label in [*typed, *["O"] * (n_words - len(typed))]]


def _label(env: Any, labels: Sequence[int]) -> dict[str, Any]:
    """Label the words; the info of the end."""
    for label in labels:
        _, _, terminated, _, info = env.step(label)
        if terminated:
            break
    return dict(info)


def _show(info: dict[str, Any]) -> float:
    """Show what was right and what it earned; the return."""
    console().print(tagged_sentence(info["words"], info["labels"], info["gold"]), soft_wrap=True)
    console().print(rewards_line(info["reward_terms"]), end="\n\n")
    return float(sum(info["reward_terms"].values()))
