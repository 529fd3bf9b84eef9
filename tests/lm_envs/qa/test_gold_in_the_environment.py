"""Through the environments themselves: the gold answer pays the maximum; garbage and nothing pay the minimum."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import lm_envs  # noqa: F401 - registers the environments
from lm_envs.qa.sources import names
from lm_envs.wrappers import TextInterface

WORLD = [name for name in names() if name != "reasoning_gym"]
CHOICES = ("intent", "relation", "sentiment", "topic")
OWN: dict[str, list[dict[str, Any]]] = {
    "squad": [
        {"context": "Tom has a red cat.", "question": "Colour?", "answers": {"text": ["red"], "answer_start": [10]}},
        {"context": "Tom has a red cat.", "question": "Where?", "answers": {"text": [], "answer_start": []}},
    ],
    "plain": [{"question": "2 + 2 =", "answer": 4}, {"question": "Who?", "answer": "The Tom"}],
    "choice": [{"question": "A fruit?", "choices": ["a lamp", "an apple", "an axe"], "answer": 1}],
}
GENERATORS = ("chain_sum", "spell_backward", "leg_counting", "gcd", "propositional_logic", "rush_hour")
GARBAGE = (" @#~ %% $$", "", " \n")


def check_texts(gold_of: Any = lambda info: info["reference"][0], **kwargs: Any) -> None:
    """The environment in ``actions="tokens"``, written to in texts."""
    env = TextInterface(gym.make("QA-v0", **kwargs))
    n_questions = env.unwrapped._episodes.n_starts
    for index in np.unique(np.linspace(0, n_questions - 1, 4).astype(int)).tolist():
        for garbage in GARBAGE:
            env.reset(options={"index": index})
            _, reward, terminated, _, info = env.step(garbage)
            assert terminated and reward == 0.0 and not info["is_success"]
        env.reset(options={"index": index})
        _, reward, terminated, _, info = env.step(f" {gold_of(info)}")
        assert terminated and reward == 1.0 and info["is_success"]


@pytest.mark.parametrize("name", WORLD)
def test_the_small_world(name: str) -> None:
    check_texts(dataset=name)


@pytest.mark.parametrize("form", OWN)
def test_own_data(form: str) -> None:
    check_texts(dataset=OWN[form])


@pytest.mark.parametrize("name", GENERATORS)
def test_generators(name: str) -> None:
    pytest.importorskip("reasoning_gym")
    check_texts(dataset=f"reasoning_gym:{name}", max_prompt_tokens=1024, max_new_tokens=256)


@pytest.mark.parametrize("answer", ["tags", "boxed", "after:####"])
def test_an_answer_that_has_to_be_marked(answer: str) -> None:
    written = {"tags": "<answer>{}</answer>", "boxed": r"so \boxed{{{}}}", "after:####": "well #### {}"}[answer]
    kwargs = {"dataset": "passages", "answer": answer, "max_new_tokens": 64}
    check_texts(lambda info: written.format(info["reference"][0]), **kwargs)
    with pytest.raises(AssertionError):  # without the mark there is no answer
        check_texts(**kwargs)


@pytest.mark.parametrize("dataset", [*CHOICES, OWN["choice"]], ids=[*CHOICES, "own"])
@pytest.mark.parametrize("mode", [{"actions": "choice"}, {"constrain": True}], ids=["choice", "constrain"])
def test_choices(dataset: Any, mode: dict[str, Any]) -> None:
    env = gym.make("QA-v0", dataset=dataset, **mode)
    episodes = env.unwrapped._episodes  # type: ignore[attr-defined]
    for index in range(0, episodes.n_starts, max(1, episodes.n_starts // 4)):
        question = episodes.questions[index]
        for choice in question.choices:
            env.reset(options={"index": index})
            reward, info = choose(env, question.choices.index(choice), choice)
            assert reward == float(choice in question.answers) and info["is_success"] is (choice in question.answers)
            assert info["answer"] == choice


def choose(env: gym.Env, number: int, choice: str) -> tuple[float, dict[str, Any]]:
    if env.action_space.n < 32:  # type: ignore[attr-defined]  # choices, not tokens
        _, reward, terminated, _, info = env.step(number)
    else:
        vocabulary = env.unwrapped.vocabulary  # type: ignore[attr-defined]
        for token in [*vocabulary.tokenizer(f" {choice}", add_special_tokens=False)["input_ids"], *vocabulary.eos_ids]:
            assert env.unwrapped.action_masks()[token]  # type: ignore[attr-defined]
            _, reward, terminated, _, info = env.step(token)
    assert terminated
    return float(reward), info


def test_an_illegal_choice_is_worth_nothing() -> None:
    rows = [{**OWN["choice"][0], "choices": list("abcde")}, OWN["choice"][0]]
    env = gym.make("QA-v0", dataset=rows, actions="choice")
    env.reset(options={"index": 1})
    _, reward, terminated, _, info = env.step(4)
    assert terminated and reward == 0.0 and info["answer"] == "" and not info["is_success"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_entities(split: str) -> None:
    env = gym.make("Tagging-v0", split=split)
    names_of_labels = env.unwrapped.label_names  # type: ignore[attr-defined]
    for index in range(0, 500, 50):
        for kind in ("gold", "all O", "all broken", "a wrong type"):
            env.reset(options={"index": index})
            gold = env.unwrapped._episodes.sentences[index].labels  # type: ignore[attr-defined]
            labels = {
                "gold": gold,
                "all O": ["O"] * len(gold),
                "all broken": ["I-TIME"] * len(gold),
                "a wrong type": [
                    label[:2] + ("JOB" if "PER" in label else "PER") if label != "O" else "O" for label in gold
                ],
            }[kind]
            paid = [env.step(names_of_labels.index(label)) for label in labels]
            terms = paid[-1][4]["reward_terms"]
            assert terms["entity_f1"] == pytest.approx(0.5 * (kind == "gold" or set(labels) == set(gold) == {"O"}))
            assert sum(step[1] for step in paid) == pytest.approx(sum(terms.values()))
            assert (sum(terms.values()) == pytest.approx(1.0)) is (kind == "gold")


@pytest.mark.parametrize(
    "broken", [lambda answer, gold: 1.0, lambda answer, gold: 0.0, lambda answer, gold: len(answer) > 0]
)
def test_the_check_can_fail(broken: Any) -> None:
    def reward(prompts: list[str], completions: list[str], extracted: list[str], **columns: Any) -> list[float]:
        return [float(broken(answer, gold)) for answer, gold in zip(extracted, columns["reference"], strict=True)]

    with pytest.raises(AssertionError):
        check_texts(dataset=OWN["plain"], reward=reward)
