"""When rewards are paid: with shaping as they grow, and an episode's payments sum to its reward."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from lm_envs.errors import RewardError
from lm_envs.models import load_tokenizer
from lm_envs.rewards import Fluency
from lm_envs.text_gen import TextGenEnv
from lm_envs.text_gen_vector import TextGenVectorEnv
from lm_envs.vocabulary import Vocabulary

TEXTS = (" I love it.", " I love it. It is great", " It was a very bad one", " great good happy", " The lamp is")


def n_characters(completions: list[str], **columns: Any) -> list[float]:
    """A reward that can score a partial completion."""
    return [len(text) / 10 for text in completions]


async def slow(completions: list[str], **columns: Any) -> list[float]:
    """A reward that is paid at the end."""
    return [len(text) / 7 for text in completions]


def by_token(completion_ids: list[list[int]], completions: list[str], **columns: Any) -> list[list[float]]:
    """A reward for each token."""
    return [[0.1 * token for token in ids] for ids in completion_ids]


def steps(completions: list[str], **columns: Any) -> list[float]:
    """A reward paid at every step."""
    return [-0.3] * len(completions)


steps.per_step = True  # type: ignore[attr-defined]


def make(stand_in: str, reward: Any, **kwargs: Any) -> TextGenEnv:
    given = {"dataset": ["The lamp"], "reward": reward, "shaping": True, "max_new_tokens": 4, **kwargs}
    env = TextGenEnv(model=stand_in, **given)
    env.reset(seed=0)
    return env


def some_actions(model: str, n_steps: int, n_rows: int) -> np.ndarray:
    """Words that rewards know, random tokens, and now and then the end of the text."""
    rng = np.random.default_rng(0)
    tokenizer = load_tokenizer(model)
    streams = []
    for _ in range(n_rows):
        ids: list[int] = []
        while len(ids) < n_steps:
            ids += tokenizer(TEXTS[rng.integers(len(TEXTS))], add_special_tokens=False)["input_ids"]
            n_random = rng.integers(0, 8) * rng.integers(0, 2)
            ids += [*rng.integers(3, 2000, n_random).tolist(), tokenizer.eos_token_id]
        streams.append(ids[:n_steps])
    return np.array(streams).T  # (n_steps, n_rows)


def returns_and_terms(env: TextGenEnv, actions: np.ndarray) -> list[tuple[float, dict[str, float]]]:
    """The sum of the rewards and the terms of each episode of a single environment."""
    env.reset(seed=0)
    episodes, paid = [], 0.0
    for action in actions:
        _, reward, terminated, _, info = env.step(action)
        paid += reward
        if terminated:
            episodes.append((paid, info["reward_terms"]))
            paid = 0.0
            env.reset()
    return episodes


def rewards_of(lm_folder: str) -> dict[Any, float]:
    return {
        "sentiment": 1.0, "grammar": 0.5, Fluency(model=lm_folder): 0.3, n_characters: -0.2,
        by_token: 0.01, slow: 2.0, steps: 1.0,
    }  # fmt: skip


def test_payments_sum_to_the_reward_in_the_single_environment(lm_folder: str) -> None:
    actions = some_actions("tiny", 200, 1)[:, 0]
    kwargs = {"reward": rewards_of(lm_folder), "max_new_tokens": 12}
    plain, shaped = (returns_and_terms(TextGenEnv(shaping=on, **kwargs), actions) for on in (False, True))
    assert len(plain) == len(shaped) >= 10
    assert len({terms["sentiment"] for _, terms in shaped}) >= 4
    assert {terms["grammar"] for _, terms in shaped} == {0.0, 0.5}
    for (plain_return, plain_terms), (shaped_return, shaped_terms) in zip(plain, shaped, strict=True):
        assert list(plain_terms) == list(shaped_terms)
        assert shaped_terms == pytest.approx(plain_terms, abs=1e-9)
        assert shaped_return == pytest.approx(plain_return, abs=1e-9)


def test_payments_sum_to_the_reward_in_the_vector_environment(lm_folder: str) -> None:
    kwargs = {"reward": rewards_of(lm_folder), "max_new_tokens": 9}
    envs = TextGenVectorEnv(4, shaping=True, **kwargs)
    envs.reset(seed=0)
    paid, n_ended, early = np.zeros(4), 0, 0.0
    for actions in some_actions("tiny", 60, 4):
        _, rewards, terminations, _, infos = envs.step(actions)
        paid += rewards
        early += np.abs(rewards + 0.3)[~terminations].sum()
        for row in np.flatnonzero(terminations):
            n_ended += 1
            terms = infos["final_info"]["reward_terms"]
            assert paid[row] == pytest.approx(sum(values[row] for name, values in terms.items() if name[0] != "_"))
        paid[terminations] = 0.0
    assert n_ended >= 24 and early > 10


def test_each_step_pays_the_growth(stand_in: str) -> None:
    env = make(stand_in, {n_characters: 2.0})
    decode = load_tokenizer(stand_in).decode
    tokens = load_tokenizer(stand_in)(" bad lamp! fine")["input_ids"][:4]
    for _ in range(2):  # potentials start anew
        rewards = [env.step(token)[1] for token in tokens]
        lengths = [0, *(len(decode(tokens[: n + 1])) for n in range(4))]
        assert rewards == pytest.approx(np.diff(lengths) / 5)
        env.reset()


def test_what_cannot_score_a_partial_completion_is_paid_at_the_end(stand_in: str) -> None:
    def final(completions: list[str], **columns: Any) -> list[float]:
        return [1.0] * len(completions)

    final.partial = False  # type: ignore[attr-defined]
    env = make(stand_in, [slow, by_token, final])
    assert [env.step(5)[1] for _ in range(3)] == [0.0] * 3
    _, reward, _, _, info = env.step(5)
    assert list(info["reward_terms"]) == ["slow", "by_token", "final"]
    assert reward == pytest.approx(len(info["completion"]) / 7 + 2.0 + 1.0)
    assert info["token_rewards"] == [0.5] * 4


def test_none_leaves_the_potential_as_it_is(stand_in: str) -> None:
    scores = iter([1.0, None, 3.0, 0.5])
    env = make(stand_in, lambda prompts, completions: [next(scores)])
    assert [env.step(5)[1] for _ in range(4)] == [1.0, 0.0, 2.0, -2.5]


def test_a_list_at_the_end_pays_the_rest(stand_in: str) -> None:
    def late(completion_ids: list[list[int]], completions: list[str], **columns: Any) -> list[Any]:
        return [[1.0] * 4 if len(ids) == 4 else 0.25 for ids in completion_ids]

    env = make(stand_in, late)
    assert [env.step(5)[1] for _ in range(4)] == [0.25, 0.0, 0.0, 3.75]


def test_each_reward_is_called_once_a_step_for_all_rows(stand_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []

    def early(completions: list[str], **columns: Any) -> list[float]:
        calls.append(("early", len(completions)))
        return [0.0] * len(completions)

    def late(completions: list[str], **columns: Any) -> list[float]:
        calls.append(("late", len(completions)))
        return [0.0] * len(completions)

    late.partial = False  # type: ignore[attr-defined]
    decode = Vocabulary.decode
    monkeypatch.setattr(Vocabulary, "decode", lambda self, ids: calls.append(("decode", len(ids))) or decode(self, ids))
    arguments: dict[str, Any] = {"dataset": ["The lamp"], "reward": [early, late], "max_new_tokens": 3}
    envs = TextGenVectorEnv(3, model=stand_in, shaping=True, **arguments)
    envs.reset(seed=0)
    envs.step([5, 5, 5])
    assert calls == [("decode", 3), ("early", 3)]
    envs.step([0, 5, 0])
    assert calls[2:] == [("decode", 3), ("early", 3), ("late", 2)]


def test_without_a_reward_that_can_grow_nothing_is_decoded_early(stand_in: str) -> None:
    env = make(stand_in, slow)
    assert not env._episodes.payments.every_step
    assert make(stand_in, [slow, n_characters])._episodes.payments.every_step


def test_a_failure_on_a_partial_completion(stand_in: str) -> None:
    env = make(stand_in, lambda prompts, completions: [float("nan")])
    with pytest.raises(RewardError, match="'lambda' returned nan; expected a finite number"):
        env.step(5)


def test_what_was_paid_so_far_is_shown(stand_in: str) -> None:
    env = make(stand_in, [n_characters, steps])
    token = load_tokenizer(stand_in)(" lamp")["input_ids"][0]
    env.step(token)
    view = env._episodes.view(0)
    completion = view.pieces[-1].text
    assert view.reward_terms == {"steps": -0.3, "n_characters": len(completion) / 10} and completion


def test_only_the_rows_that_begin_are_forgotten(stand_in: str) -> None:
    arguments: dict[str, Any] = {"dataset": ["The lamp"], "reward": n_characters, "max_new_tokens": 4}
    envs = TextGenVectorEnv(2, model=stand_in, shaping=True, **arguments)
    envs.reset(seed=0)
    envs.step([5, 5])
    twin = copy.deepcopy(envs)
    twin.reset(options={"reset_mask": np.array([False, True])})
    rewards = [each.step([0, 5])[1] for each in (envs, twin)]
    assert rewards[0].tolist() == [0.0, 0.1] and rewards[1].tolist() == [0.0, 0.1]
    totals = [sum(each.step([5, 5])[1][1] for _ in range(n)) for each, n in ((envs, 2), (twin, 3))]
    assert totals == pytest.approx([0.2, 0.3])
