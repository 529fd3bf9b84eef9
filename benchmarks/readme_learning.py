"""The tables of what was learned in ``TextGen-v0`` and ``Dialogue-v0``."""

from __future__ import annotations

from benchmarks.readme_cells import before_after, duration, machine, mean, read

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
