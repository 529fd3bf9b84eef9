"""The README's tables of learning from feedback."""

from __future__ import annotations

import numpy as np

from benchmarks import over_optimisation, rlhf
from benchmarks.readme_cells import machine, read


def rlhf_part() -> str:
    """The tables of ``rlhf.json``."""
    result = read("rlhf.json")
    settings, runs = result["settings"], result["runs"]
    accuracy = np.array([run["accuracy"] for run in runs])
    lines = [
        f"{settings['pairs']} pairs in each round, {settings['prompts']} held-out prompts, {len(runs)} seeds: mean "
        f"(least to greatest), one core each of {machine(result)}. The reward models prefer the better one of "
        f"{rlhf.cell(accuracy[:, 0].tolist())} of held-out pairs after the first round, of "
        f"{rlhf.cell(accuracy[:, 1].tolist())} after the second:",
        "",
        "| | hidden reward | well-formed | distinct-2 | KL, nats an episode | tokens trained on | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, values in rlhf.summarise(runs).items():
        cells = " | ".join(rlhf.cell(values.get(key, [])) for key in rlhf.METRICS[:4])
        seconds = [row["seconds"] for run in runs for row in run["rows"] if row["name"] == name]
        tokens = f"{np.mean(values['tokens']):,.0f}"
        lines.append(f"| {name} | {cells} | {tokens} | {min(seconds)} to {max(seconds)} |")
    reached = "; ".join(" → ".join(f"{value:.2f}" for value in run["reached"]) for run in runs)
    return "\n".join([*lines, "", f"Hidden reward before, after one and after two rounds, seed by seed: {reached}."])


def over_optimisation_part() -> str:
    """The table of ``over_optimisation.json``."""
    result = read("over_optimisation.json")
    settings = result["settings"]
    lines = [
        f"Reward models from {settings['pairs']} pairs, {settings['steps']:,} tokens of PPO, {len(settings['seeds'])} "
        f"seeds: mean (least to greatest), on one core of {machine(result)}:",
        "",
        "| trained on | best hidden reward on the way | hidden reward at the end | learned reward at the end | KL |",
        "|---|---|---|---|---|",
    ]
    for arm, values in over_optimisation.summarise(result["runs"]).items():
        lines.append(f"| {arm} | {' | '.join(rlhf.cell(cells) for cells in values.values())} |")
    return "\n".join(lines)
