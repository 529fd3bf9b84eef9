"""Writes the measured tables into README.md: ``python -m benchmarks.readme``.

Every number comes from a file under ``benchmarks/results``; a test fails while the README says anything else.
"""

from __future__ import annotations

import re

from benchmarks.readme_answers import labels_part, question_learning_part, text_tasks_part
from benchmarks.readme_cells import ROOT, before_after, duration, machine, mean, read
from benchmarks.readme_feedback import over_optimisation_part, rlhf_part
from benchmarks.readme_speed import dialogue_throughput_part, dqn_part, peers_part, throughput_part

DIALOGUE_METRICS = {
    "success": "users who got what they wanted",
    "reward": "mean return",
    "turns": "turns of the agent",
    "length": "tokens of the agent",
    "kl": "KL to the pretrained model, nats a conversation",
}
ACT_AGENTS = {
    "hand_written": "hand-written policy that knows the simulator's rules",
    "random": "random acts",
    "tabular": "tabular Q-learning on the belief state",
    "dqn_hidden": "`DQN`, `MlpPolicy` on hidden states",
    "dqn": "`DQN`, `LMQPolicy`",
}
VALUE_LEARNING = {
    "dqn": "`DQN`, `LMQPolicy`",
    "dqn_hidden": "`DQN`, `MlpPolicy` on hidden states",
    "qrdqn": "`QRDQN`, `LMQPolicy`",
    "dqn_sparse": "`DQN`, `LMQPolicy`, reward at the end only",
}
METRICS = {
    "reward": "mean reward (sentiment, 0 to 1)",
    "grammar": "well-formed completions",
    "distinct_2": "distinct-2",
    "kl": "KL to the pretrained model, nats an episode",
    "length": "length in tokens",
}


def main() -> None:
    """Rewrite the README's measured parts in place."""
    readme = ROOT / "README.md"
    readme.write_text(updated(readme.read_text(encoding="utf-8")), encoding="utf-8")


def updated(text: str) -> str:
    """The README's text with each measured part made anew from the results."""
    parts = {
        "learning": learning_part(),
        "value learning": value_learning_part(),
        "throughput": throughput_part(),
        "dqn": dqn_part(),
        "dialogue learning": dialogue_learning_part(),
        "dialogue acts": dialogue_acts_part(),
        "dialogue throughput": dialogue_throughput_part(),
        "text tasks": text_tasks_part(),
        "question learning": question_learning_part(),
        "labels": labels_part(),
        "feedback": rlhf_part(),
        "over-optimisation": over_optimisation_part(),
        "peers": peers_part(),
    }
    for name, part in parts.items():
        halves = re.split(rf"(<!-- {name}: .*?-->\n).*?(<!-- end of {name} -->)", text, flags=re.S)
        if len(halves) != 4:
            raise ValueError(f"expected one part {name!r} in README.md, found {len(halves) // 3}")
        text = f"{halves[0]}{halves[1]}{part}\n{halves[2]}{halves[3]}"
    return text


def learning_part() -> str:
    """The table of ``benchmarks/results/learning_reviews.json``."""
    result = read("learning_reviews.json")
    runs = result["runs"]
    head = (
        f"{runs[0]['after']['n_prompts']} held-out prompts, {len(runs)} seeds; a whole run, evaluations included, took "
        f"{duration(runs)} on {machine(result)}:"
    )
    return "\n".join([head, "", *before_after(result, METRICS)])


def value_learning_part() -> str:
    """The table of the files ``benchmarks/results/learning_NAME_reviews.json`` of :data:`VALUE_LEARNING`."""
    results = {name: read(f"learning_{name}_reviews.json") for name in VALUE_LEARNING}
    first = results["dqn"]
    start = first["summary"]
    lines = [
        f"{first['runs'][0]['after']['n_prompts']} held-out prompts, {len(first['runs'])} seeds, greedy completions: "
        f"mean over seeds (least to greatest), on {machine(first)}, {first['jobs']} runs side by side:",
        "",
        "| | sentiment | well-formed | distinct-2 | steps | seconds a run |",
        "|---|---|---|---|---|---|",
        f"| before: the pretrained model, greedy | {start['reward/sentiment']['before']:.2f} | "
        f"{start['grammar']['before']:.2f} | {start['distinct_2']['before']:.2f} | | |",
    ]
    for name, result in results.items():
        columns = (result["summary"][key] for key in ("reward/sentiment", "grammar", "distinct_2"))
        reached = " | ".join(f"{row['after']:.2f} ({row['min']:.2f} to {row['max']:.2f})" for row in columns)
        seconds = [run["seconds"] for run in result["runs"]]
        steps = result["runs"][0]["steps"]
        lines.append(f"| {VALUE_LEARNING[name]} | {reached} | {steps:,} | {min(seconds):.0f} to {max(seconds):.0f} |")
    return "\n".join(lines)


def dialogue_learning_part() -> str:
    """The table of ``benchmarks/results/learning_dialogue.json``."""
    result = read("learning_dialogue.json")
    runs = result["runs"]
    head = (
        f"{runs[0]['after']['n_prompts']} held-out goals, {len(runs)} seeds, {runs[0]['steps']:,} tokens of training; "
        f"a whole run, evaluations included, took {duration(runs)} on {machine(result)}, {result['jobs']} at a time:"
    )
    lines = [head, "", *before_after(result, DIALOGUE_METRICS)]
    lines += ["", "| seed | success before, 95% interval | after, 95% interval | seconds |", "|---|---|---|---|"]
    for run in runs:
        moments = (run[moment]["metrics"]["success"] for moment in ("before", "after"))
        cells = " | ".join(f"{each['mean']:.2f} ({each['low']:.2f} to {each['high']:.2f})" for each in moments)
        lines.append(f"| {run['seed']} | {cells} | {run['seconds']:.0f} |")
    return "\n".join(lines)


def dialogue_acts_part() -> str:
    """The table of ``benchmarks/results/dialogue_acts.json``."""
    result = read("dialogue_acts.json")
    settings = result["settings"]
    lines = [
        f"{settings['n_goals']} held-out goals, {len(settings['seeds'])} seeds: mean (least to greatest); one core of "
        f"{machine(result)}:",
        "",
        "| | return | share of the hand-written policy's | success | seconds a run |",
        "|---|---|---|---|---|",
    ]
    for row in result["summary"]:
        cells = " | ".join(mean(row[name]) for name in ("mean_return", "share", "success"))
        seconds = row["seconds"]
        lines.append(f"| {ACT_AGENTS[row['agent']]} | {cells} | {seconds['min']:.0f} to {seconds['max']:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
