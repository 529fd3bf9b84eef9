"""How well dialogue acts are chosen, by hand and by learners: ``python -m benchmarks dialogue-acts``.

All agents serve the simulated users of ``Dialogue-v0`` with ``actions="acts"``, and are measured on goals of the test
split. The hand-written policy knows the rules of the simulator, and its mean return is the measure of the others. Each
learner is run as a user would: ``examples/tabular_q_learning.py``, and ``lm-envs train`` with the recipes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks import learning
from benchmarks.machine import describe_machine
from benchmarks.readme_cells import RESULTS, ROOT
from benchmarks.throughput_report import mean_and_range

Choice = Callable[[npt.NDArray[np.int8]], int]
EXAMPLE = ROOT / "examples" / "tabular_q_learning.py"
HELD_OUT = re.compile(r"(\d+) held-out goals: return (-?[\d.]+), success ([\d.]+)")


class Score(NamedTuple):
    """What an agent got: its mean return, the share of users that got what they wanted, and on how many goals."""

    mean_return: float
    success: float
    n_goals: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = _parser().parse_args(arguments)
    budget = Budget(settings.goals, settings.steps, settings.conversations)
    file = settings.json
    kept = json.loads(file.read_text())["runs"] if file.exists() and settings.add else []
    result: dict[str, Any] = {}
    for result in measure(settings.agents, settings.seeds, budget, kept):
        file.write_text(json.dumps(result, indent=1) + "\n")
    Console().print(table(result))


def measure(
    agents: Sequence[str], seeds: Sequence[int], budget: Budget, kept: Sequence[dict[str, Any]] = ()
) -> Iterator[dict[str, Any]]:
    """Train and measure every agent with every seed.

    Args:
        agents: Keys of :data:`AGENTS`.
        seeds: The seeds.
        budget: How much.
        kept: Earlier runs; those of ``agents`` are replaced.

    Yields:
        After every run, the machine, the runs so far and their summary, as JSON values.
    """
    machine = describe_machine()
    runs = [run for run in kept if run["agent"] not in agents]
    for agent, seed in itertools.product(agents, seeds):
        start = time.perf_counter()
        score = AGENTS[agent](seed, budget)
        seconds = round(time.perf_counter() - start, 1)
        runs.append({"agent": agent, "seed": seed, **score._asdict(), "seconds": seconds})
        Console().print(f"{agent}, seed {seed}: return {score.mean_return:.3f}, {seconds:.0f} s")
        yield {
            "benchmark": "dialogue_acts",
            "settings": {"seeds": list(seeds), **budget._asdict()},
            "machine": machine,
            "runs": runs,
            "summary": summarise(runs),
        }


class Budget(NamedTuple):
    """How much is measured and trained; None: as the recipe or the example says."""

    n_goals: int = 256
    steps: int | None = None
    conversations: int | None = None


def hand_written(seed: int, budget: Budget) -> Score:
    """The policy that knows the rules."""
    from lm_envs.dialogue.partners.agenda_acts import DeskActs
    from lm_envs.dialogue.partners.agenda_policy import HandWrittenPolicy
    from lm_envs.world.dialogues import DOMAINS

    return serve(HandWrittenPolicy(DeskActs(1, DOMAINS)).choose, seed, budget.n_goals)


def at_random(seed: int, budget: Budget) -> Score:
    """Acts drawn uniformly."""
    rng = np.random.default_rng(seed)
    n_acts = int(_make_env().action_space.n)
    return serve(lambda _: int(rng.integers(n_acts)), seed, budget.n_goals)


def tabular(seed: int, budget: Budget) -> Score:
    """The example of tabular Q-learning on the belief state."""
    command = [sys.executable, str(EXAMPLE), "--seed", str(seed), "--evaluations", str(budget.n_goals)]
    command += [] if budget.conversations is None else ["--conversations", str(budget.conversations)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"training failed: {' '.join(command)}\n{done.stderr[-2000:]}")
    found = HELD_OUT.search(done.stdout)
    if found is None:
        raise SystemExit(f"{EXAMPLE.name} printed no result; it ends with: {done.stdout[-200:]!r}")
    return Score(float(found[2]), float(found[3]), int(found[1]))


def dqn_hidden(seed: int, budget: Budget) -> Score:
    """DQN with a plain MLP on the frozen model's hidden states."""
    return _trained(seed, ["--algo", "dqn", "--observation", "hidden"], budget)


def dqn(seed: int, budget: Budget) -> Score:
    """DQN with the language model as Q-network."""
    return _trained(seed, ["--algo", "dqn"], budget)


AGENTS: dict[str, Callable[[int, Budget], Score]] = {
    "hand_written": hand_written,
    "random": at_random,
    "tabular": tabular,
    "dqn_hidden": dqn_hidden,
    "dqn": dqn,
}


def serve(choose: Choice, seed: int, n_goals: int) -> Score:
    """Let a policy talk with the users of the test split's first goals.

    Args:
        choose: From the dialogue state ``(state_size,)`` to an act.
        seed: Of the users' patience and wording.
        n_goals: How many goals.
    """
    env = _make_env(split="test")
    env.reset(seed=seed)
    returns, successes = [], []
    for index in range(n_goals):
        obs, _ = env.reset(options={"index": index})
        total, terminated = 0.0, False
        while not terminated:
            obs, reward, terminated, _, info = env.step(choose(obs["dialogue_state"]))
            total += float(reward)
        returns.append(total)
        successes.append(float(info["is_success"]))
    return Score(statistics.mean(returns), statistics.mean(successes), n_goals)


def summarise(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each agent mean, least and greatest value over the seeds, and its share of the hand-written policy's return.

    Returns:
        ``agent``, ``mean_return``, ``success``, ``seconds``, and ``share`` where the hand-written policy was measured.
    """
    by_agent: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        by_agent.setdefault(run["agent"], []).append(run)
    best = [run["mean_return"] for run in by_agent.get("hand_written", [])]
    rows = []
    for agent, group in by_agent.items():
        row = {name: mean_and_range([run[name] for run in group]) for name in ("mean_return", "success", "seconds")}
        share = {name: value / statistics.mean(best) for name, value in row["mean_return"].items()} if best else None
        rows.append({"agent": agent, **row, "share": share})
    return rows


def table(result: dict[str, Any]) -> Table:
    """The summary as a table."""
    shown = Table(title=f"{result['settings']['n_goals']} held-out goals, seeds {result['settings']['seeds']}")
    for column in ("agent", "return", "share of the hand-written policy's", "success", "seconds"):
        shown.add_column(column, justify="left" if column == "agent" else "right")
    for row in result["summary"]:
        share = f"{row['share']['mean']:.2f}" if row["share"] else ""
        success, seconds = row["success"]["mean"], row["seconds"]["mean"]
        shown.add_row(row["agent"], f"{row['mean_return']['mean']:.3f}", share, f"{success:.3f}", f"{seconds:.0f}")
    return shown


def _make_env(**kwargs: Any) -> Any:
    import gymnasium as gym

    import lm_envs  # noqa: F401 - registers the environments

    return gym.make("Dialogue-v0", actions="acts", **kwargs)


def _trained(seed: int, algorithm: Sequence[str], budget: Budget) -> Score:
    steps = [] if budget.steps is None else ["--steps", str(budget.steps)]
    arguments = ["Dialogue-v0", *algorithm, *steps, "--eval-prompts", str(budget.n_goals)]
    after = learning.train(seed, arguments)["after"]
    metrics = after["metrics"]
    return Score(metrics["reward"]["mean"], metrics["success"]["mean"], after["n_prompts"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks dialogue-acts", description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--agents", nargs="+", choices=list(AGENTS), default=list(AGENTS))
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--goals", type=int, default=256, help="goals of the test split")
    add("--steps", type=int, help="steps of training (the recipes')")
    add("--conversations", type=int, default=9_000, help="conversations of the tabular learner")
    add("--add", action="store_true", help="keep the other agents' runs that the file holds")
    add("--json", metavar="FILE", type=Path, default=RESULTS / "dialogue_acts.json", help="where the result is written")
    return parser


if __name__ == "__main__":
    main()
