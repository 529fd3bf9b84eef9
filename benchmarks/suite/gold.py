"""The actions that give the answers, labels and texts which the data say are right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agents.baselines.shown_texts import ENV_ID as TEXTS
from agents.baselines.shown_texts import references_of, shown_texts
from agents.evaluation.prompts import load_prompts
from benchmarks.supervised import gold_actions
from lm_envs.environment_configs import config_class
from lm_envs.errors import ConfigurationError
from lm_envs.qa.constraint import written_choices
from lm_envs.vocabulary import load_vocabulary

Script = list[list[int]]


def says_what_is_right(env_id: str, env_kwargs: Mapping[str, Any]) -> bool:
    """Whether an environment's data have references, answers or labels."""
    if env_id == TEXTS:
        return "reference" in load_prompts(dict(env_kwargs), "train").columns
    return env_id != "Dialogue-v0"


def gold_script(env_id: str, env_kwargs: Mapping[str, Any], split: str, indices: Sequence[int]) -> Script:
    """The right actions of some episodes.

    Args:
        env_id: A registered environment but ``Dialogue-v0``, where what is right depends on the other side.
        env_kwargs: Its arguments.
        split: Which split.
        indices: Numbers of its prompts, questions or sentences.

    Raises:
        ConfigurationError: The data do not say what is right.
    """
    if not says_what_is_right(env_id, env_kwargs):
        raise ConfigurationError(
            f"the data of {env_id} with {dict(env_kwargs)} do not say what is right: no references, answers or labels. "
            "Leave the baseline 'oracle' out."
        )
    if env_id == TEXTS:
        return _references(env_kwargs, split, indices)
    if env_id == "QA-v0" and env_kwargs.get("actions") != "choice":
        return _answers(env_kwargs, split, indices)
    actions = gold_actions(env_id, {**env_kwargs, "split": split})
    return [actions[index] for index in indices]


def _references(env_kwargs: Mapping[str, Any], split: str, indices: Sequence[int]) -> Script:
    all_of_them = references_of(TEXTS, env_kwargs, split)
    shown = shown_texts([all_of_them[index] for index in indices], env_kwargs["model"], env_kwargs)
    return [episode.actions.tolist() for episode in shown.episodes]


def _answers(env_kwargs: Mapping[str, Any], split: str, indices: Sequence[int]) -> Script:
    """The first gold answer of each question as tokens, and the end of the text."""
    config = config_class("QA-v0")(**{**env_kwargs, "split": split})
    questions = config.load_questions()
    vocabulary = load_vocabulary(config.model, config.trust_remote_code)
    asked = [questions[int(index)] for index in indices]
    texts = [written_choices(question.prompt, question.answers[:1])[0] for question in asked]
    written = vocabulary.tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [[*tokens, *vocabulary.eos_ids[:1]][: config.max_new_tokens] for tokens in written]
