"""The suite's main figure and tables, as the README shows them."""

from __future__ import annotations

from pathlib import Path

FIGURE = "figures/iqm.svg"
"""The main figure, which ``python -m benchmarks report`` writes into the folder of results."""


def readme_part(folder: str | Path) -> str:
    """Markdown with the main figure, the interquartile means, and mean scores by case and algorithm.

    Args:
        folder: The results, with a report.

    Returns:
        The text; its links are relative to ``folder``.

    Raises:
        DataError: See :func:`~benchmarks.report.grid.read_grid`.
        MissingDependencyError: rliable is not installed.
    """
    from benchmarks.report.analysis import analyse
    from benchmarks.report.contents import comparisons, findings, introduction, iqm_rows, score_table
    from benchmarks.report.grid import read_grid

    grid = read_grid(folder)
    analysis = analyse(grid)
    lines = [*introduction(grid), *findings(grid, analysis)]
    table = score_table(grid, analysis)
    names = [*table["algorithms"], *table["baselines"]]
    text = [" ".join(lines), ""]
    if headings := [each["heading"] for each in comparisons(grid, analysis)]:
        text += [f"![Interquartile mean of the normalised score of each algorithm]({FIGURE})", ""]
        text += [f"| | {' | '.join(headings)} |", f"|---|{'---|' * len(headings)}"]
        text += [f"| {row['label']} | {' | '.join(row['estimates'])} |" for row in iqm_rows(grid, analysis)]
    text += ["", f"| case | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    begun = [row for row in table["rows"] if any(cell["value"] for cell in row["cells"])]
    for row in begun:
        cells = " | ".join(_cell(cell) for cell in row["cells"])
        text.append(f"| {row['title']} ({row['score']}, at best {row['best']}) | {cells} |")
    if waiting := [row["title"] for row in table["rows"] if row not in begun]:
        text += ["", f"Declared, and not run so far: {'; '.join(waiting)}."]
    return "\n".join(text)


def _cell(cell: dict[str, str]) -> str:
    value = f"**{cell['value']}**" if cell.get("highest") else cell["value"]
    return cell["absent"] or value
