"""What is learned of labels from rewards, against what is learned from the labels: ``python -m benchmarks labels``.

Choosing an answer (``QA-v0`` with ``actions="choice"``) is learned by DQN, tagging (``Tagging-v0``) by PPO, each run
with ``lm-envs train`` and the recipe, as a user would. Beside each, the same policy with the same initial weights, the
same part of it trained by the same optimizer, learns from the right labels by cross entropy. Both are measured greedily
on the whole test split.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import learning
from benchmarks.machine import describe_machine
from benchmarks.readme_cells import RESULTS
from benchmarks.throughput_report import mean_and_range

Run = dict[str, Any]
ALL = 2**31  # texts: more than there are
MEASURES = ("majority", "untrained", "supervised", "rl", "ratio", "seconds")


class Case(NamedTuple):
    """A data set with what learns it.

    Attributes:
        env_id: The environment.
        arguments: What ``lm-envs train`` is called with besides.
        metric: What is measured, a name that :func:`agents.evaluation.evaluate` gives.
    """

    env_id: str
    arguments: tuple[str, ...]
    metric: str


CASES: dict[str, Case] = {
    **{
        name: Case("QA-v0", ("--algo", "dqn", "--dataset", name), "accuracy")
        for name in ("sentiment", "topic", "intent", "relation")
    },
    "entities": Case("Tagging-v0", ("--algo", "ppo"), "entity_f1"),
}


class Budget(NamedTuple):
    """How much is trained.

    Attributes:
        epochs: How often supervised training sees each labelled text of the train split.
        steps: Steps of learning from rewards; None: the recipe's.
        n_texts: How many texts of the train split have labels; None: all.
    """

    epochs: int = 10
    steps: int | None = None
    n_texts: int | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = _parser().parse_args(arguments)
    file = settings.json
    kept = json.loads(file.read_text())["runs"] if file.exists() and settings.add else []
    budget = Budget(settings.epochs, settings.steps, settings.texts)
    result: dict[str, Any] = {}
    for result in measure(settings.cases, settings.seeds, budget, settings.jobs, kept):
        file.write_text(json.dumps(result, indent=1) + "\n")
    Console().print(table(result))


def measure(
    cases: Sequence[str], seeds: Sequence[int], budget: Budget, jobs: int = 1, kept: Sequence[Run] = ()
) -> Iterator[dict[str, Any]]:
    """Train and measure every case with every seed.

    Args:
        cases: Keys of :data:`CASES`.
        seeds: The seeds.
        budget: How much.
        jobs: How many run side by side, sharing the cores.
        kept: Earlier runs; those of ``cases`` are replaced.

    Yields:
        After every run, the machine, the runs so far and their summary, as JSON values.
    """
    machine = describe_machine()
    runs = [run for run in kept if run["case"] not in cases]
    threads = max(1, (os.cpu_count() or 1) // jobs)
    for run in _runs(list(itertools.product(cases, seeds)), budget, threads, jobs):
        runs = sorted([*runs, run], key=lambda each: (list(CASES).index(each["case"]), each["seed"]))
        Console().print(f"{run['case']}, seed {run['seed']}: {run['rl']:.3f}, supervised {run['supervised']:.3f}")
        yield {
            "benchmark": "labels",
            "settings": {"seeds": list(seeds), **budget._asdict()},
            "machine": machine,
            "jobs": jobs,
            "runs": runs,
            "summary": summarise(runs),
        }


def _runs(pairs: Sequence[tuple[str, int]], budget: Budget, threads: int, jobs: int) -> Iterator[Run]:
    run = partial(learn_both_ways, budget=budget, threads=threads)
    if jobs == 1:
        yield from itertools.starmap(run, pairs)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield from (done.result() for done in as_completed([pool.submit(run, *pair) for pair in pairs]))


def learn_both_ways(name: str, seed: int, budget: Budget, threads: int) -> Run:
    """Train a policy by rewards and its twin by labels, and measure both.

    Args:
        name: Key of :data:`CASES`.
        seed: The seed of both.
        budget: How much.
        threads: CPU threads.

    Returns:
        ``case``, ``seed``, ``metric``, ``algorithm``, ``model``, ``trainable``, ``n_test``; the metric of ``majority``
        (always the most frequent action), ``untrained``, ``supervised`` and ``rl``, and ``ratio`` of the last two;
        ``steps`` and ``seconds`` of the whole ``lm-envs train``; ``labels`` (how many supervised training saw,
        repetitions included) and ``supervised_seconds``.
    """
    import torch as th

    from agents.policies.saved_policy import load_policy
    from agents.training_runs.building import build_model
    from agents.training_runs.folder import RunFolder
    from benchmarks.supervised import Always, demonstrations, fit, gold_actions

    th.set_num_threads(threads)
    case = CASES[name]
    with tempfile.TemporaryDirectory() as scratch:
        run = RunFolder(Path(scratch) / "run")
        seconds = learning.train_into(run.path, seed, _arguments(case, budget), threads)
        config = run.open()
        learned = load_policy(run.model, config.device)
    twin, kwargs = build_model(config).policy, config.evaluation_kwargs()
    gold = gold_actions(case.env_id, kwargs)[: budget.n_texts]
    n_test = len(gold_actions(case.env_id, {**kwargs, "split": "test"}))
    measured = partial(_measured, env_id=case.env_id, env_kwargs=kwargs, metric=case.metric)
    found = {"majority": measured(Always(twin, _most_frequent(gold))), "untrained": measured(twin)}
    start = time.perf_counter()
    labels = fit(twin, demonstrations(case.env_id, kwargs, gold), budget.epochs, seed)
    supervised_seconds = round(time.perf_counter() - start, 1)
    found |= {"supervised": measured(twin), "rl": measured(learned)}
    return {
        **{"case": name, "seed": seed, "metric": case.metric, "algorithm": config.algorithm, "model": config.model},
        **{
            "trainable": config.trainable,
            "n_test": n_test,
            **found,
            "ratio": found["rl"] / max(found["supervised"], 1e-9),
        },
        **{"steps": config.steps, "seconds": seconds, "labels": labels, "supervised_seconds": supervised_seconds},
    }


def summarise(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """For each case ``case``, ``metric``, and mean, least and greatest value of each of :data:`MEASURES` over seeds."""
    cases: dict[str, list[Run]] = {}
    for run in runs:
        cases.setdefault(run["case"], []).append(run)
    return [
        {
            **{key: group[0][key] for key in ("case", "metric", "algorithm", "trainable", "n_test", "steps", "labels")},
            **{measure: mean_and_range([run[measure] for run in group]) for measure in MEASURES},
        }
        for group in cases.values()
    ]


def table(result: dict[str, Any]) -> Table:
    """The summary as a table."""
    shown = Table(title=f"whole test splits, seeds {result['settings']['seeds']}: mean (least)")
    for column in ("case", "metric", "algorithm", *MEASURES):
        shown.add_column(column, justify="left" if column in ("case", "metric", "algorithm") else "right")
    for row in result["summary"]:
        values = [f"{row[name]['mean']:.3f} ({row[name]['min']:.3f})" for name in MEASURES[:-1]]
        shown.add_row(row["case"], row["metric"], row["algorithm"], *values, f"{row['seconds']['mean']:.0f}")
    return shown


def _arguments(case: Case, budget: Budget) -> list[str]:
    steps = [] if budget.steps is None else ["--steps", str(budget.steps)]
    return [case.env_id, *case.arguments, *steps, "--eval-prompts", "64"]  # all are measured afterwards


def _measured(policy: Any, env_id: str, env_kwargs: dict[str, Any], metric: str) -> float:
    from agents.evaluation import evaluate

    found = evaluate(policy, env_id, env_kwargs, n_prompts=ALL, deterministic=True)
    return found.metrics[metric].mean


def _most_frequent(gold: Sequence[Sequence[int]]) -> int:
    return Counter(itertools.chain.from_iterable(gold)).most_common(1)[0][0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks labels", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--epochs", type=int, default=10, help="of supervised training")
    add("--steps", type=int, help="steps of learning from rewards (the recipes')")
    add("--texts", type=int, help="texts that supervised training sees (all)")
    add("--jobs", type=int, default=1, help="how many runs go on side by side")
    add("--add", action="store_true", help="keep the other cases' runs that the file holds")
    add("--json", metavar="FILE", type=Path, default=RESULTS / "labels.json", help="where the result is written")
    return parser


if __name__ == "__main__":
    main()
