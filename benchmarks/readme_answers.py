"""The README's tables of tasks that have right answers: questions, labels, and texts with references."""

from __future__ import annotations

from benchmarks.readme_cells import before_after, duration, machine, mean, read

TEXT_TASKS = {
    "summarization": {"rougeL": "ROUGE-L", "success": "headlines that are the reference, word for word"},
    "translation": {"chrf": "chrF", "bleu": "BLEU", "success": "translations that are the reference, word for word"},
}
QUESTION_METRICS = {
    "exact_match": "exact match",
    "f1": "F1",
    "has_ans_exact_match": "exact match where the passage tells the answer",
    "no_ans_exact_match": "exact match where it does not",
}
CASES = {
    "sentiment": "accuracy on `sentiment`",
    "topic": "accuracy on `topic`",
    "intent": "accuracy on `intent`",
    "relation": "accuracy on `relation`",
    "entities": "entity F1 in `Tagging-v0`",
}


def text_tasks_part() -> str:
    """The tables of ``learning_summarization.json`` and ``learning_translation.json``."""
    parts = []
    for task, metrics in TEXT_TASKS.items():
        result = read(f"learning_{task}.json")
        runs = result["runs"]
        head = (
            f'`task="{task}"`, {runs[0]["after"]["n_prompts"]} held-out prompts, {len(runs)} seeds, '
            f"{runs[0]['steps']:,} tokens of PPO, {duration(runs)} a run on {machine(result)}:"
        )
        parts.append("\n".join([head, "", *before_after(result, metrics)]))
    return "\n\n".join(parts)


def question_learning_part() -> str:
    """The table of ``learning_passages.json``."""
    result = read("learning_passages.json")
    runs = result["runs"]
    head = (
        f"PPO on the tokens of answers to `passages`, {runs[0]['after']['n_prompts']} held-out questions, {len(runs)} "
        f"seeds, {runs[0]['steps']:,} tokens of training, {duration(runs)} a run on {machine(result)}:"
    )
    return "\n".join([head, "", *before_after(result, QUESTION_METRICS)])


def labels_part() -> str:
    """The table of ``labels.json``."""
    result = read("labels.json")
    seeds = len(result["settings"]["seeds"])
    lines = [
        f"Whole test splits, {seeds} seeds: mean (least to greatest), on {machine(result)}. Supervised: the same "
        "policy from the same weights, trained on the right labels by cross entropy:",
        "",
        "| | most frequent label | from rewards | supervised | rewards / supervised | steps | seconds a run |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["summary"]:
        learned = " | ".join(mean(row[name]) for name in ("rl", "supervised", "ratio"))
        seconds = row["seconds"]
        lines.append(
            f"| {CASES[row['case']]}, {row['algorithm'].upper()} | {row['majority']['mean']:.2f} | {learned} | "
            f"{row['steps']:,} | {seconds['min']:.0f} to {seconds['max']:.0f} |"
        )
    return "\n".join(lines)
