"""Rewards are paid for turns or for conversations, with what they can read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lm_envs.dialogue.turn_rewards import TurnRewards
from lm_envs.dialogue.vector_env import DialogueVectorEnv
from lm_envs.errors import ConfigurationError, RewardError, UnknownNameError
from lm_envs.payments import Completions
from lm_envs.rewards import make_reward

EOS, TURN_END = 0, 2  # of tiny
COLUMNS = {"messages", "turn", "done", "success", "partner_terms", "turn_info", "goods", "completion_ids"}


class Spy:
    """Writes down what it is called with."""

    def __init__(self, per_turn: bool) -> None:
        self.per_turn = per_turn
        self.__name__ = "per_turn" if per_turn else "final"
        self.calls: list[dict[str, Any]] = []

    def __call__(self, prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        told = {**columns, "messages": [[m["content"] for m in history] for history in columns["messages"]]}
        self.calls.append({"prompts": prompts, "completions": completions, **told})
        return [float(len(self.calls))] * len(prompts)


def test_what_rewards_receive(shop: Any) -> None:
    turns, final = Spy(per_turn=True), Spy(per_turn=False)
    envs = DialogueVectorEnv(
        3, partner=shop, reward={turns: 1.0, final: 0.5}, max_turns=2, partner_kwargs={"leaves": 99}
    )
    _, infos = envs.reset(seed=2)
    opening = infos["user_turn"].tolist()
    assert not envs.step([9, TURN_END, 9])[1][[0, 2]].any()
    (call,) = turns.calls
    assert set(call) == {"prompts", "completions", *COLUMNS} and not final.calls
    assert call["prompts"] == [opening[1]] and call["completions"] == [""]
    assert call["completion_ids"] == [[TURN_END]] and call["turn"] == [1] and call["done"] == [False]
    (history,) = call["messages"]
    assert history[:2] == [opening[1], ""] and len(history) == 3
    answer = history[2]
    *_, infos = envs.step([9, 10, TURN_END])
    assert turns.calls[1]["completion_ids"] == [[9, TURN_END]] and turns.calls[1]["turn"] == [1]
    _, rewards, terminated, _, infos = envs.step([9, TURN_END, 9])
    assert terminated.tolist() == [False, True, False] and infos["final_info"]["n_turns"][1] == 2
    call = turns.calls[2]
    assert call["prompts"] == [answer] and call["turn"] == [2] and call["done"] == [True]
    assert call["goods"] == infos["final_info"]["goods"][1:2].tolist()
    assert call["turn_info"][0]["turns"] == 2 and set(call["partner_terms"][0]) == {"score"}
    (whole,) = final.calls
    assert set(whole) == {"prompts", "completions", "prompt_ids", *COLUMNS}
    assert whole["prompts"] == [opening[1]] and whole["completion_ids"] == [[TURN_END, 10, TURN_END]]
    assert whole["completions"] == infos["final_info"]["completion"][1:2].tolist()
    assert whole["prompt_ids"][0][-1] == 4  # <|assistant|>: the opening as the agent saw it
    assert whole["done"] == [True] and whole["messages"] == call["messages"]
    assert rewards.tolist() == [0.0, 3.0 + 0.5, 0.0]
    terms = {name: infos["final_info"]["reward_terms"][name][1] for name in ("per_turn", "final")}
    assert terms == {"per_turn": 1.0 + 3.0, "final": 0.5}


def test_columns_of_the_conversations_that_ended_among_other_turns(shop: Any) -> None:
    final = Spy(per_turn=False)
    envs = DialogueVectorEnv(3, partner=shop, reward=final, partner_kwargs={"leaves": 10**6})
    _, infos = envs.reset(options={"indices": [0, 1, 2]})
    envs.step([TURN_END, 9, EOS])
    (call,) = final.calls
    assert call["goods"] == ["two chairs"] and call["prompts"] == [infos["user_turn"][2]]
    assert call["completion_ids"] == [[EOS]] and call["messages"][0][0] == infos["user_turn"][2]


def per_step(completions: list[str], **columns: Any) -> list[float]:
    return [0.0] * len(completions)


per_step.per_step = True  # type: ignore[attr-defined]


def test_rewards_at_every_step_are_refused(shop: Any) -> None:
    with pytest.raises(
        ConfigurationError, match="'per_step' has per_step = True: in a conversation .* per_turn = True"
    ):
        DialogueVectorEnv(1, partner=shop, reward=per_step)


def test_a_column_that_is_not_there(shop: Any) -> None:
    def wants(completions: list[str], reference: list[str], **columns: Any) -> list[float]:
        return [0.0] * len(completions)

    with pytest.raises(UnknownNameError, match="unknown column 'reference'.*goods"):
        DialogueVectorEnv(1, partner=shop, reward=wants)


def completions(texts: list[str], **columns: Any) -> Completions:
    return Completions(["?"] * len(texts), texts, columns)


def turn_length(completions: list[str], **columns: Any) -> list[float | None]:
    """Applies to turns with a text only."""
    return [float(len(text)) if text else None for text in completions]


turn_length.per_turn = True  # type: ignore[attr-defined]


def total_length(completions: list[str], **columns: Any) -> list[float | None]:
    """Applies to conversations with a text only."""
    return [float(len(text)) if text else None for text in completions]


def test_terms_add_up_over_turns_and_begin_anew() -> None:
    rewards = TurnRewards(make_reward({turn_length: 2.0, total_length: 1.0}), num_rows=3)
    nobody = np.array([], dtype=int)
    for _ in range(2):
        rewards.start(np.arange(3))
        paid = rewards.pay(np.array([0, 2]), completions(["ab", "c"]), nobody, completions([]))
        assert paid.rewards.tolist() == [4.0, 0.0, 2.0] and rewards.so_far(0) == {
            "turn_length": 4.0,
            "total_length": 0.0,
        }
        paid = rewards.pay(np.array([0, 1]), completions(["abc", "d"]), np.array([0]), completions(["ab\nabc"]))
        assert paid.rewards.tolist() == [6.0 + 6.0, 2.0, 0.0]
        assert {name: values.tolist() for name, values in paid.terms.items()} == {
            "turn_length": [10.0],
            "total_length": [6.0],
        }
    rewards.start(np.array([1]))
    assert rewards.so_far(1) == {"turn_length": 0.0, "total_length": 0.0}
    assert rewards.so_far(2)["turn_length"] == 2.0


def test_a_reward_that_does_not_apply_to_a_turn_pays_nothing() -> None:
    rewards = TurnRewards(make_reward(turn_length), num_rows=2)
    paid = rewards.pay(np.array([0, 1]), completions(["", "ab"]), np.array([0]), completions([""]))
    assert paid.rewards.tolist() == [0.0, 2.0] and paid.terms["turn_length"].tolist() == [0.0]


def test_a_conversation_that_no_reward_applies_to() -> None:
    rewards = TurnRewards(make_reward(total_length), num_rows=1)
    with pytest.raises(RewardError):
        rewards.pay(np.array([0]), completions(["ab"]), np.array([0]), completions([""]))


def test_token_rewards_cover_all_tokens_of_the_agent(shop: Any) -> None:
    def by_token(completion_ids: list[list[int]], completions: list[str], **columns: Any) -> list[list[float]]:
        return [[token / 10 for token in ids] for ids in completion_ids]

    envs = DialogueVectorEnv(1, partner=shop, reward=by_token, max_turns=2, partner_kwargs={"leaves": 10**6})
    envs.reset(seed=0)
    for token in (9, TURN_END, 8):
        assert envs.step([token])[1].tolist() == [0.0]
    _, rewards, _, _, infos = envs.step([EOS])
    assert infos["final_info"]["token_rewards"][0] == [0.9, 0.2, 0.8, 0.0]
    assert rewards.tolist() == [pytest.approx(1.9)]


@pytest.mark.parametrize("name", ["goal_success", "partner", "turn_cost", "non_repetition"])
def test_registered_rewards(shop: Any, name: str) -> None:
    envs = DialogueVectorEnv(2, partner=shop, reward=name, max_turn_tokens=2, partner_kwargs={"leaves": 3})
    envs.reset(seed=0)
    ended = 0
    for _ in range(30):
        _, _, terminated, _, infos = envs.step([9, 8])
        ended += terminated.sum()
        if terminated.any():
            row = int(np.flatnonzero(terminated)[0])
            (term,) = (values for key, values in infos["final_info"]["reward_terms"].items() if key[0] != "_")
            assert np.isfinite(term[row])
    assert ended > 5
