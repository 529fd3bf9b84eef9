"""The README's tables of speed and memory."""

from __future__ import annotations

from typing import Any

from benchmarks.readme_cells import RESULTS, machine, read

THROUGHPUT = (
    "throughput_tiny.json",
    "throughput_tiny_long.json",
    "throughput_smollm2_cpu.json",
    "throughput_smollm2_cpu_bfloat16.json",
)
DQN = "throughput_dqn.json"
DIALOGUE_SYSTEMS = {
    "dialogue": "`Dialogue-v0`, all turns end together",
    "textgen": "`TextGen-v0`",
    "dialogue_ragged": "`Dialogue-v0`, some turns end in every step",
    "textgen_ragged": "`TextGen-v0`, begun one after the other likewise",
}
NAMES = {
    "project": "this project",
    "grpo": "this project, GRPO",
    "textbook": "textbook SB3 policy",
    "generate": "bare `generate` + one update",
}


SHORT = (
    ("throughput_tiny.json", "end_to_end, project / textbook"),
    ("throughput_tiny.json", "end_to_end, project / generate"),
    ("throughput_trl_tiny.json", "end_to_end, grpo / trl"),
    ("throughput_smollm2_cpu.json", "end_to_end, project / generate"),
    ("throughput_trl_smollm2.json", "end_to_end, grpo / trl"),
)
"""What the README shows of all tables: the ratios of files."""
AGAINST = {**NAMES, "trl": "TRL's `GRPOTrainer`, its fastest minibatches"}


def short_speed_part() -> str:
    """One row for each length of the ratios in :data:`SHORT`."""
    first = read(SHORT[0][0])
    lines = [
        f"Rollout and update, tokens per second on {first['settings']['threads']} core of {machine(first)}, "
        f"{first['settings']['dtype']}, KL on; prompt + new tokens:",
        "",
        "| model | tokens | this project | against | ratio, median (least to greatest) |",
        "|---|---|---|---|---|",
    ]
    for file, name in SHORT:
        result = read(file)
        lines += [_short_row(result, row) for row in result["ratios"] if row["name"] == name]
    return "\n".join(lines)


def _short_row(result: dict[str, Any], ratio: dict[str, Any]) -> str:
    ours, other = ratio["name"].partition(", ")[2].split(" / ")
    (speed,) = (
        row["end_to_end"]["median"]
        for row in result["summary"]
        if row["system"] == ours and row["length"] == ratio["length"]
    )
    which = ", GRPO" if ours == "grpo" else ""
    model = result["settings"]["model"]
    return f"| `{model}` | {ratio['length']} | {speed:,.0f}{which} | {AGAINST[other]} | {_ratio(ratio)} |"


def throughput_part() -> str:
    """The tables of the files in :data:`THROUGHPUT`, and the number in ``stepping.json``."""
    parts = [throughput_tables(read(name)) for name in THROUGHPUT]
    stepping = read("stepping.json")
    speed = stepping["tokens_per_second"]["median"]
    alone = f"The vector environment alone, {stepping['settings']['n_envs']} environments: {speed:,.0f} tokens/s."
    return "\n\n".join([*parts, alone])


def peers_part() -> str:
    """The tables of all files ``throughput_trl_*.json``, those of the smallest model first."""
    results = [read(path.name) for path in sorted(RESULTS.glob("throughput_trl_*.json"), reverse=True)]
    tables = [throughput_tables(result) for result in results]
    return "\n\n".join(
        [*tables, "Scoring under the reference is part of TRL's rollout; here it only counts end to end."]
    )


def dqn_part() -> str:
    """The tables of ``benchmarks/results/throughput_dqn.json``."""
    result = read(DQN)
    settings = result["settings"]
    lines = [
        f"DQN, `{settings['model']}`, {settings['n_envs']} environments, {settings['threads']} core, "
        f"{settings['dtype']}, all weights trained, {settings['batch_size']} transitions in a gradient step, as many "
        f"collected as trained on, median of {settings['rounds']} rounds on {machine(result)}; prompt + new tokens:",
        "",
        "| | | transitions/s trained on | tokens/s collected | both | peak memory |",
        "|---|---|---|---|---|---|",
        *(_speed_row(row, ("update", "rollout", "end_to_end")) for row in result["summary"]),
        "",
        *_ratio_table(result),
        "",
        "| replay memory, bytes a transition | this project | `DictReplayBuffer` | ratio |",
        "|---|---|---|---|",
    ]
    for row in result["replay_memory"]:
        memory = f"{row['project']:.1f} | {row['textbook']:,.0f} | {row['ratio']:.1f}"
        lines.append(f"| {row['length']}, actions: {row['actions']} | {memory} |")
    if "note" in result:
        lines += ["", result["note"]]
    return "\n".join(lines)


def dialogue_throughput_part() -> str:
    """The tables of ``benchmarks/results/dialogue_throughput.json``."""
    result = read("dialogue_throughput.json")
    settings = result["settings"]
    world, own = result["summary"][0]["length"].split("+")
    lines = [
        f"The agent's tokens per second of processor time, `{settings['model']}`, {settings['n_envs']} environments, "
        f"one core, float32, KL on, median of {settings['rounds']} rounds on {machine(result)}. "
        f"{settings['n_turns']} turns of {settings['turn_tokens']} tokens, {settings['user_tokens']} in each of the "
        f"user's: {own} tokens of the agent, and {world} of users and chat template, which in `TextGen-v0` are the "
        "prompt:",
        "",
        "| | rollout | update | end to end | environment's share of the rollout | the partner's |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["summary"]:
        name = row["system"]
        metrics = ("rollout",) if name.endswith("_ragged") else ("rollout", "update", "end_to_end")
        speeds = [f"{row[metric]['median']:,.0f}" for metric in metrics] + [""] * (3 - len(metrics))
        shares = [f"{100 * result['shares'][name][part]['median']:.0f}%" for part in ("environment", "partner")]
        lines.append(f"| {DIALOGUE_SYSTEMS[name]} | {' | '.join([*speeds, *shares])} |")
    return "\n".join([*lines, "", *_ratio_table(result)])


def throughput_tables(result: dict[str, Any]) -> str:
    """The tables of a result of ``python -m benchmarks throughput`` for PPO: speeds, then ratios."""
    settings = result["settings"]
    lines = [
        f"Tokens per second, `{settings['model']}`, {settings['n_envs']} environments, {settings['threads']} core, "
        f"{settings['dtype']}, KL on, {_rounds(settings['rounds'])} on {machine(result)}; "
        "prompt + new tokens:",
        "",
        "| | | rollout | update | end to end | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_speed_row(row, ("rollout", "update", "end_to_end")) for row in result["summary"]]
    return "\n".join([*lines, "", *_ratio_table(result)])


def _speed_row(row: dict[str, Any], metrics: tuple[str, ...]) -> str:
    speeds = " | ".join(f"{row[metric]['median']:,.0f}" for metric in metrics)
    memory = row["peak_memory"]["median"] / 2**30
    return f"| {row['length']} | {_name(row['system'])} | {speeds} | {memory:.2f} GiB |"


def _name(system: str) -> str:
    """What a system is called; what follows a slash is the size of its minibatches."""
    name, _, minibatch = system.partition("/")
    return f"TRL's `GRPOTrainer`, minibatches of {minibatch}" if name == "trl" else NAMES[name]


def _ratio_table(result: dict[str, Any]) -> list[str]:
    lengths = _lengths(result)
    lines = [
        "| ratio, median (least to greatest) | " + " | ".join(lengths) + " |",
        "|---|" + "---|" * len(lengths),
    ]
    for name in dict.fromkeys(row["name"] for row in result["ratios"]):
        cells = {row["length"]: row for row in result["ratios"] if row["name"] == name}
        lines.append(f"| {name} | " + " | ".join(_ratio(cells.get(length)) for length in lengths) + " |")
    return lines


def _lengths(result: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(row["length"] for row in result["summary"]))


def _ratio(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    median = f"{row['median']:.2f}"
    return median if row["min"] == row["max"] else f"{median} ({row['min']:.2f} to {row['max']:.2f})"


def _rounds(number: int) -> str:
    return "one round" if number == 1 else f"median of {number} rounds"
