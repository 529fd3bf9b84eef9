import asyncio
import functools
import math
import pickle
import time
from typing import Any

import numpy as np
import pytest

from lm_envs.errors import ConfigurationError, MissingDependencyError, RewardError, UnknownNameError
from lm_envs.rewards import Length, RewardBatch, RewardSum, make_reward

PROMPTS = ["p1", "p2"]
COMPLETIONS = ["a", "bbb"]


def ones(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
    return [1.0] * len(prompts)


def lengths(completions: list[str], **columns: Any) -> list[int]:  # as in TRL's documentation
    return [len(completion) for completion in completions]


async def slow_twos(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
    await asyncio.sleep(0.15)
    return [2.0] * len(prompts)


def shaped(prompts: list[str], completions: list[str], **columns: Any) -> list[list[float]]:
    return [[0.5] * len(completion) for completion in completions]


def so_far(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
    return [0.1] * len(prompts)


so_far.per_step = True  # type: ignore[attr-defined]


def run(spec: Any, **columns: Any) -> RewardBatch:
    return make_reward(spec)(PROMPTS, COMPLETIONS, **columns)


class TestSum:
    def test_terms_are_weighted_and_sum_to_the_total(self) -> None:
        batch = run({lengths: 0.5, ones: -2, "length:target=1": 3.0})
        assert {name: list(values) for name, values in batch.terms.items()} == {
            "lengths": [0.5, 1.5],
            "ones": [-2.0, -2.0],
            "length": [3.0, 3.0],
        }
        assert list(batch.total) == [1.5, 2.5]
        assert batch.total.dtype == np.float64
        assert batch.token_rewards is None

    def test_nested_specifications_multiply_weights(self) -> None:
        batch = run([lengths, {make_reward({ones: 2.0}): 3.0}, {"length:target=1": 0.5}])
        assert [list(values) for values in batch.terms.values()] == [[1, 3], [6, 6], [0.5, 0.5]]

    def test_names_are_disambiguated(self) -> None:
        reward = make_reward(["length:target=1", "length:target=2", lambda p, c: [0, 0], "length:target=3"])
        assert reward.names == ("length", "length_2", "lambda", "length_3")
        assert len(run([ones, ones]).terms) == 2

    def test_name_of_an_object_is_its_class(self) -> None:
        class Praise:
            def __call__(self, completions: list[str], **columns: Any) -> list[float]:
                return [0.0] * len(completions)

        assert make_reward([Praise(), Length(3), functools.partial(ones)]).names == (
            "Praise",
            "length",
            "ones",
        )

    def test_reward_sum_is_returned_as_it_is(self) -> None:
        reward = make_reward(ones)
        assert make_reward(reward) is reward
        assert repr(make_reward({ones: 0.5, lengths: 1})) == "RewardSum(0.5 * ones + 1.0 * lengths)"

    def test_no_episodes(self) -> None:
        batch = make_reward(ones)([], [])
        assert batch.total.shape == batch.terms["ones"].shape == (0,)

    def test_different_numbers_of_prompts_and_completions(self) -> None:
        with pytest.raises(ConfigurationError, match="as many completions as prompts, got 1 and 2"):
            make_reward(ones)(PROMPTS, ["a"])

    def test_pickle(self) -> None:
        copy = pickle.loads(pickle.dumps(make_reward([ones, "bleu", so_far, slow_twos, {"fluency": 2.0}])))
        assert copy.names == ("ones", "bleu", "so_far", "slow_twos", "fluency")
        assert copy.per_step == (so_far,)


class TestCalling:
    def test_columns_reach_the_reward(self) -> None:
        def check(prompts: list[str], completions: list[str], answer: list[str], **columns: Any) -> list[bool]:
            assert columns == {"completion_ids": [[1], [2]]}
            return [c == a for c, a in zip(completions, answer, strict=True)]

        assert list(run(check, answer=["a", "b"], completion_ids=[[1], [2]]).total) == [1, 0]

    @pytest.mark.parametrize(
        "function",
        [
            lambda p, c: [len(x) for x in c],
            lambda p, c, **rest: [len(x) for x in c],
            lambda completions: [len(x) for x in completions],
            lambda completions, extra=None: [len(x) * len(extra[0]) for x in completions],
            lambda completions, prompts, **rest: [len(x) for x in completions],
            lambda **all: [len(x) for x in all["completions"]],
            lambda *texts: [len(x) for x in texts[1]],
        ],
    )
    def test_signatures(self, function: Any) -> None:
        assert list(run(function, extra=["x", "y"]).total) == [1, 3]

    @pytest.mark.parametrize("function", [lambda: [1], lambda prompts: [1], lambda x: [1], str.upper])
    def test_function_that_cannot_take_completions(self, function: Any) -> None:
        with pytest.raises(ConfigurationError, match="cannot be called: expected reward.*parameter `completions`"):
            make_reward(function)

    def test_check_columns_before_the_run(self) -> None:
        def graded(completions: list[str], answers: list[str], hint: Any = None) -> list[float]:
            return [0.0] * len(completions)

        reward = make_reward([graded, "bleu:column=text", "length:unit=tokens", ones])
        reward.check_columns(["answers", "text"])
        with pytest.raises(UnknownNameError, match="column 'answers'. Did you mean 'answer'.*The reward 'graded'"):
            reward.check_columns(["answer", "text"])
        with pytest.raises(UnknownNameError, match="column 'text'.*The reward 'bleu'"):
            reward.check_columns(["answers"])


class TestAsync:
    def test_awaited_together(self) -> None:
        start = time.perf_counter()
        batch = run([slow_twos, slow_twos, slow_twos, ones])
        assert time.perf_counter() - start < 0.4  # one after the other would take 0.45
        assert list(batch.total) == [7, 7]

    def test_inside_of_a_running_loop(self) -> None:
        async def notebook() -> RewardBatch:
            return run(slow_twos)

        assert list(asyncio.run(notebook()).total) == [2, 2]

    def test_one_loop_for_all_calls(self) -> None:
        loops = []

        class Client:
            async def __call__(self, prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
                loops.append(asyncio.get_running_loop())
                return [0.0] * len(prompts)

        client = Client()
        run(client)
        run([client, lambda **columns: client(**columns)])
        assert len(loops) == 3
        assert len(set(loops)) == 1

    def test_error_names_the_function(self) -> None:
        async def broken(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
            raise TimeoutError("no answer")

        with pytest.raises(RewardError, match="reward 'broken' raised TimeoutError: no answer") as caught:
            run([slow_twos, broken])
        assert isinstance(caught.value.__cause__, TimeoutError)

    def test_error_of_a_plain_reward_leaves_no_coroutine(self) -> None:
        with pytest.raises(RewardError, match="'failing' raised"):  # a RuntimeWarning would fail the test
            run([slow_twos, failing])


class TestStepRewards:
    def test_paid_at_steps_only(self) -> None:
        reward = make_reward([ones, so_far])
        assert reward.per_step == (so_far,)
        assert list(reward.episode(PROMPTS, COMPLETIONS).terms) == ["ones"]
        assert list(reward(PROMPTS, COMPLETIONS).terms) == ["ones"]
        step = reward.step(PROMPTS, COMPLETIONS)
        assert list(step.terms) == ["so_far"]
        assert list(step.total) == [0.1, 0.1]

    def test_only_step_rewards(self) -> None:
        assert list(make_reward(so_far).episode(PROMPTS, COMPLETIONS).total) == [0, 0]

    def test_none_at_all(self) -> None:
        assert make_reward(ones).per_step == ()
        assert list(make_reward(ones).step(PROMPTS, COMPLETIONS).total) == [0, 0]

    def test_partial_keeps_the_attribute(self) -> None:
        assert len(make_reward(functools.partial(so_far)).per_step) == 1


class TestTokenRewards:
    def test_sum_is_paid_and_lists_are_kept(self) -> None:
        batch = run({shaped: 2.0, ones: 1.0}, completion_ids=[[5], [5, 6, 7]])
        assert list(batch.total) == [2.0, 4.0]
        assert batch.token_rewards is not None
        assert [list(tokens) for tokens in batch.token_rewards] == [[1.0], [1.0, 1.0, 1.0]]

    def test_some_episodes_only(self) -> None:
        batch = run(lambda p, c: [7.0, [1, 2, 3]], completion_ids=[[5], [5, 6, 7]])
        assert list(batch.total) == [7, 6]
        assert [list(tokens) for tokens in batch.token_rewards or ()] == [[0], [1, 2, 3]]

    def test_equal_lengths(self) -> None:
        batch = run(lambda p, c: np.ones((2, 3)))
        assert list(batch.total) == [3, 3]
        assert [len(tokens) for tokens in batch.token_rewards or ()] == [3, 3]

    def test_wrong_number_of_tokens(self) -> None:
        with pytest.raises(RewardError, match="'shaped' returned 1 per-token values for 2 tokens.*Prompt: 'p1'"):
            run(shaped, completion_ids=[[5, 6], [5, 6, 7]])

    def test_nan_in_a_list(self) -> None:
        with pytest.raises(RewardError, match="returned nan.*Completion: 'bbb'"):
            run(lambda p, c: [[1.0], [1.0, math.nan]])


def failing(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
    raise KeyError("label")


def needs_answer(completions: list[str], answer: list[str]) -> list[float]:
    return [0.0] * len(completions)


class TestProgress:
    """Scores of completions that are not finished."""

    def test_partial_scores_and_rewards_of_those_that_ended(self) -> None:
        reward = make_reward({slow_twos: 1.0, lengths: 0.5, shaped: 2.0, so_far: 1.0})
        assert reward.partial == (lengths, shaped)
        columns = {"completion_ids": [[5], [5, 6, 7]], "self": [0, 0], "ended": [0, 0]}
        scores, final = reward.progress(np.array([1]), PROMPTS, COMPLETIONS, **columns)
        assert scores["lengths"].tolist() == [0.5, 1.5] and np.isnan(scores["shaped"]).all()
        assert {name: values.tolist() for name, values in final.terms.items()} == {
            "slow_twos": [2.0],
            "lengths": [1.5],
            "shaped": [3.0],
        }
        assert final.total.tolist() == [6.5]
        assert [tokens.tolist() for tokens in final.token_rewards or []] == [[1.0, 1.0, 1.0]]

    def test_nothing_ended(self) -> None:
        def never(completions: list[str], **columns: Any) -> list[float]:
            raise AssertionError("called for no episode")

        never.partial = False  # type: ignore[attr-defined]
        reward = make_reward([lengths, never])
        scores, final = reward.progress(np.array([], dtype=int), PROMPTS, COMPLETIONS)
        assert scores.keys() == {"lengths"} and final.total.shape == (0,) and final.token_rewards is None

    def test_none_counts_only_at_the_end(self) -> None:
        def maybe(completions: list[str], **columns: Any) -> list[float | None]:
            return [None if len(text) == 1 else 4.0 for text in completions]

        reward = make_reward(maybe)
        scores, final = reward.progress(np.array([1]), PROMPTS, COMPLETIONS)
        assert np.isnan(scores["maybe"][0]) and scores["maybe"][1] == 4.0 and final.total.tolist() == [4.0]
        with pytest.raises(RewardError, match="no reward applies"):
            reward.progress(np.array([0]), PROMPTS, COMPLETIONS)

    def test_who_can_score_a_partial_completion(self) -> None:
        class Slow:
            async def __call__(self, completions: list[str], **columns: Any) -> list[float]:
                return [0.0] * len(completions)

        class Fast(Slow):
            partial = True

        class Final(Length):
            partial = False

        bound, fast = functools.partial(slow_twos), Fast()
        reward = make_reward([lengths, slow_twos, bound, Slow(), fast, Final(3), so_far, functools.partial(ones)])
        assert [term.partial for term in reward.terms] == [True, False, False, False, True, False, False, True]


class TestBadReturns:
    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ([1.0], "returned 1 values for 2 episodes"),
            ([1.0, 2.0, 3.0], "returned 3 values for 2 episodes"),
            ([1.0, math.nan], "returned nan; expected a finite number.*Prompt: 'p2'. Completion: 'bbb'"),
            ([math.inf, 1.0], "returned inf; expected a finite number.*Prompt: 'p1'. Completion: 'a'"),
            (np.array([1.0, -np.inf]), "returned -inf"),
            (["1", "2"], r"returned '1' \(str\) for an episode"),
            ([1.0, "x"], r"returned 'x' \(str\)"),
            ([1.0, {}], r"returned \{\} \(dict\)"),
            ([1.0, [2.0, "x"]], r"returned 'x' \(str\)"),
            ([1.0, 1j], "complex"),
            (None, r"returned None \(NoneType\); expected a list of 2 numbers"),
            (1.0, r"returned 1.0 \(float\); expected a list of 2 numbers"),
            (np.float64(1.0), "expected a list of 2 numbers"),
            ("ab", r"returned 'ab' \(str\); expected a list"),
            ({0: 1.0, 1: 2.0}, r"\(dict\); expected a list"),
            ([None, 1.0], "no reward applies to an episode: 'lambda' returned None.*Prompt: 'p1'"),
        ],
    )
    def test_message(self, value: Any, message: str) -> None:
        with pytest.raises(RewardError, match=message):
            run(lambda p, c: value)

    def test_good_returns(self) -> None:
        import torch

        values: list[Any] = [
            (1, 2),
            np.array([1, 2]),
            np.array([1, 2], np.float32),
            [np.float32(1), np.int64(2)],
        ]
        values += [torch.tensor([1.0, 2.0]), [torch.tensor(1.0), torch.tensor(2)], [True, 2]]
        for value in values:
            assert list(run(lambda p, c, value=value: value).total) == [1, 2], value

    def test_none_means_that_the_reward_does_not_apply(self) -> None:
        batch = run({(lambda p, c: [None, 3.0]): 2.0, ones: 1.0})
        assert list(batch.total) == [1, 7]
        assert list(batch.terms["lambda"]) == [0, 6]

    def test_exception_is_chained_and_texts_are_shortened(self) -> None:
        with pytest.raises(
            RewardError, match="reward 'failing' raised KeyError: 'label'.*Prompt: 'xx+\\.\\.\\."
        ) as caught:
            make_reward(failing)(["x" * 1000], ["y" * 1000])
        assert isinstance(caught.value.__cause__, KeyError)
        assert len(str(caught.value)) < 650

    def test_missing_column_is_named(self) -> None:
        with pytest.raises(
            RewardError, match=r"'needs_answer' raised TypeError.*needs the columns \['answer'\].*answers"
        ):
            run(needs_answer, answers=["a", "b"])
        with pytest.raises(RewardError, match="'bleu' raised UnknownNameError.*Did you mean 'reference'"):
            run({"bleu:column=referense": 1.0}, reference=["a", "b"])

    def test_missing_package_is_passed_on(self) -> None:
        def judge(completions: list[str]) -> list[float]:
            raise MissingDependencyError.for_package("judge", "judges", "judging")

        with pytest.raises(MissingDependencyError, match="needs the package 'judge'"):
            run(judge)

    def test_interrupt_is_not_caught(self) -> None:
        def interrupted(completions: list[str]) -> list[float]:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run([slow_twos, interrupted])


def test_overhead_is_small() -> None:
    """The sum runs at every step in which an episode ends: it must not inspect anything at each call."""
    reward = make_reward(lambda p, c: [1.0] * len(p))
    texts, ids = ["text"] * 4, [[1, 2]] * 4
    best = math.inf
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(100):
            reward.episode(texts, texts, completion_ids=ids, prompt_ids=ids)
        best = min(best, (time.perf_counter() - start) / 100)
    assert best < 30e-6


def test_empty_sum() -> None:
    with pytest.raises(ConfigurationError, match="at least one term"):
        RewardSum([])
