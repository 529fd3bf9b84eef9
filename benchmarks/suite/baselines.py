"""What algorithms are compared with: agents that learn nothing, learn from what is right, or know the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

import benchmarks.suite.reasoning  # noqa: F401 - registers a data set
import lm_envs  # noqa: F401 - registers the environments
from agents.evaluation.generation import Completion, complete, seeded
from agents.evaluation.metrics import evaluate, measure, reference_policy
from agents.evaluation.pretrained_policy import pretrained_policy, untrained_kwargs
from agents.evaluation.prompts import choose_prompts
from agents.policies.actor_critic import LMActorCriticPolicy
from agents.policies.value_policies import is_value_policy
from agents.training_runs.building import build_model
from agents.training_runs.training import EVALUATION_SEED
from benchmarks.suite.cases import Cell, unknown_score
from benchmarks.suite.gold import Script, gold_script, says_what_is_right
from benchmarks.suite.players import HandWrittenPlayer, RandomPlayer, ScriptPlayer
from benchmarks.suite.texts import N_TEXTS, shown
from benchmarks.supervised import fit

AT_ONCE = 128  # episodes side by side
KEPT = 0.25  # share of its own samples that a model is fine-tuned on where nothing says what is right


class Played:
    """Episodes of held-out prompts with the arguments of their environment."""

    def __init__(self, completions: list[Completion], env_kwargs: dict[str, Any]) -> None:
        self.completions = completions
        self.env_kwargs = env_kwargs


def measure_baseline(cell: Cell) -> dict[str, Any]:
    """Let a baseline act, and measure it.

    Args:
        cell: A baseline's cell.

    Returns:
        ``steps`` (0), ``metrics``, ``curve`` (of ``untrained`` its one point, of others none) and ``texts`` of the
        cell's result.

    Raises:
        LMEnvsError: The case has no such baseline, or something in its settings cannot work.
    """
    played = _BASELINES[cell.algorithm](cell, **cell.case.baselines[cell.algorithm])
    found = measure(played.completions, cell.case.env_id, played.env_kwargs, split="test", seed=EVALUATION_SEED)
    evaluation = found.to_dict(N_TEXTS)
    curve = [_start_of_curves(cell)] if cell.algorithm == "untrained" else []
    texts = [*map(shown, evaluation["examples"])]
    return {"steps": 0, "metrics": evaluation["metrics"], "curve": curve, "texts": texts}


def untrained(cell: Cell) -> Played:
    """The pretrained language model, as training finds it; of acts, choices and labels, a new head on it."""
    kwargs = environment_kwargs(cell)
    return Played(_held_out(cell, _pretrained(cell, kwargs), kwargs), kwargs)


def greedy(cell: Cell) -> Played:
    """The pretrained language model, which takes its likeliest token each time, as value learners do."""
    kwargs = environment_kwargs(cell)
    return Played(_held_out(cell, _pretrained(cell, kwargs), kwargs, deterministic=True), kwargs)


def writing(cell: Cell) -> Played:
    """The pretrained language model, which writes in tokens what algorithms choose as an act or an answer."""
    kwargs = untrained_kwargs(None, environment_kwargs(cell))
    return Played(_held_out(cell, _pretrained(cell, kwargs), kwargs), kwargs)


def at_random(cell: Cell) -> Played:
    """Actions drawn uniformly."""
    kwargs = environment_kwargs(cell)
    return Played(_held_out(cell, RandomPlayer(*_spaces(cell, kwargs), seed=cell.seed), kwargs), kwargs)


def best_of_n(cell: Cell, n: int = 8) -> Played:
    """The best of ``n`` texts that the pretrained model writes for each prompt, by the case's own reward."""
    kwargs = untrained_kwargs(None, environment_kwargs(cell))
    policy = _pretrained(cell, kwargs)
    rounds = [_held_out(cell, policy, kwargs, seed=n * cell.seed + number) for number in range(n)]
    return Played([max(tried, key=lambda item: item.reward) for tried in zip(*rounds, strict=True)], kwargs)


def supervised(cell: Cell, like: str = "", epochs: int = 3, texts: int = 2048) -> Played:
    """The policy of an algorithm's run, which learned what is right from as many texts of the train split.

    Where the data do not say what is right it learned the best quarter of what it sampled there itself.

    Args:
        cell: The cell.
        like: The algorithm; empty for the case's first one.
        epochs: How often each text is seen.
        texts: Prompts of the train split at most; of the best quarter a quarter is learned from.
    """
    config = cell.supervised_config()
    model = build_model(config)
    kwargs, policy = config.evaluation_kwargs(), model.policy
    indices = choose_prompts(kwargs, "train", texts, cell.seed, cell.case.env_id)
    fit(policy, [item.decisions for item in _shown(cell, policy, kwargs, indices)], epochs, cell.seed)
    model.env.close()
    return Played(_held_out(cell, policy, kwargs, deterministic=is_value_policy(policy)), kwargs)


def oracle(cell: Cell) -> Played:
    """What the data say is right; in dialogues, the policy that knows the rules of the simulated user."""
    kwargs = environment_kwargs(cell)
    if cell.case.env_id == "Dialogue-v0":
        kwargs |= {"actions": "acts"}
    return Played(_play(cell, kwargs, "test", _test_prompts(cell, kwargs)), kwargs)


_BASELINES: dict[str, Callable[..., Played]] = {
    "untrained": untrained,
    "random": at_random,
    "greedy": greedy,
    "writing": writing,
    "best_of_n": best_of_n,
    "supervised": supervised,
    "oracle": oracle,
}


def environment_kwargs(cell: Cell) -> dict[str, Any]:
    """Arguments of a case's environment, without the split."""
    case, measuring = cell.case, cell.measuring
    named = {"task": case.task, "dataset": case.dataset, "reward": case.reward}
    given = {key: value for key, value in named.items() if value is not None}
    return {**case.env_kwargs, **given, "model": measuring.model, "device": measuring.device}


def _shown(cell: Cell, policy: Any, kwargs: dict[str, Any], indices: np.ndarray) -> list[Completion]:
    """What supervised learning is shown of the train split."""
    if _has_rules(cell, kwargs) or says_what_is_right(cell.case.env_id, kwargs):
        return _play(cell, kwargs, "train", indices)
    own = _complete(cell, reference_policy(policy), kwargs, "train", indices, cell.seed)
    return sorted(own, key=lambda item: item.reward, reverse=True)[: max(1, round(KEPT * len(own)))]


def _has_rules(cell: Cell, kwargs: dict[str, Any]) -> bool:
    """Whether the agent chooses dialogue acts, for which there is a policy that knows the rules."""
    return cell.case.env_id == "Dialogue-v0" and kwargs.get("actions") == "acts"


def _play(cell: Cell, kwargs: dict[str, Any], split: str, indices: np.ndarray) -> list[Completion]:
    """The episodes of those who do what is right."""
    if _has_rules(cell, kwargs):
        player = HandWrittenPlayer(*_spaces(cell, kwargs))
        return _complete(cell, player, kwargs, split, indices)
    script = gold_script(cell.case.env_id, kwargs, split, indices.tolist())
    return _follow(cell, kwargs, split, indices, script)


def _follow(cell: Cell, kwargs: dict[str, Any], split: str, indices: np.ndarray, script: Script) -> list[Completion]:
    spaces = _spaces(cell, kwargs)
    found = []
    for start in range(0, len(indices), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        found += _complete(cell, ScriptPlayer(*spaces, script=script[part]), kwargs, split, indices[part])
    return found


def _held_out(
    cell: Cell, policy: Any, kwargs: dict[str, Any], seed: int | None = None, deterministic: bool = False
) -> list[Completion]:
    """An episode of each held-out prompt; the prompts are the same ones for all cells."""
    indices = _test_prompts(cell, kwargs)
    own = cell.seed if seed is None else seed
    return _complete(cell, policy, kwargs, "test", indices, own, deterministic)


def _start_of_curves(cell: Cell) -> dict[str, float]:
    """Where the curves of algorithms begin: the same policy on their validation prompts, sampled with their seed."""
    kwargs = environment_kwargs(cell)
    found = evaluate(
        _pretrained(cell, kwargs),
        cell.case.env_id,
        kwargs,
        split="validation",
        n_prompts=cell.measuring.curve_prompts,
        seed=EVALUATION_SEED,
    )
    if cell.case.score not in found.metrics:
        raise unknown_score(cell, found.metrics)
    return {"step": 0, "score": found.metrics[cell.case.score].mean}


def _test_prompts(cell: Cell, kwargs: dict[str, Any]) -> np.ndarray:
    return choose_prompts(kwargs, "test", cell.measuring.eval_prompts, EVALUATION_SEED, cell.case.env_id)


def _complete(
    cell: Cell,
    policy: Any,
    kwargs: dict[str, Any],
    split: str,
    indices: Sequence[int] | np.ndarray,
    seed: int = 0,
    deterministic: bool = False,
) -> list[Completion]:
    return complete(
        policy,
        cell.case.env_id,
        kwargs,
        indices=np.asarray(indices).tolist(),
        split=split,
        seed=seed,
        deterministic=deterministic,
        batch_size=AT_ONCE,
    )


def _pretrained(cell: Cell, kwargs: dict[str, Any]) -> LMActorCriticPolicy:
    with seeded(cell.seed):  # a head that labels words begins at random
        return pretrained_policy(cell.case.env_id, kwargs, cell.measuring.device)


def _spaces(cell: Cell, kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The spaces of observations and actions of one environment."""
    env = gym.make(cell.case.env_id, **kwargs)
    spaces = env.observation_space, env.action_space
    env.close()
    return spaces
