"""The cells of a folder side by side: what there is, what is missing, and scores on a scale that cases share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.suite.results import ResultsFolder
from lm_envs.errors import DataError

Array = npt.NDArray[np.float64]
CellResult = dict[str, Any]
CaseInfo = dict[str, Any]

UNTRAINED = "untrained"
SHARES: Array = np.linspace(0.0, 1.0, 21)
"""Where curves are compared: shares of a case's steps."""


@dataclass(frozen=True)
class Grid:
    """What a folder of results holds.

    Attributes:
        folder: Where it lies.
        suite: What ``suite.json`` says.
        cells: The results of cells, by case, algorithm or baseline, and seed.
        strangers: Names of cells in the folder that ``suite.json`` does not declare; nothing else here counts them.
        undefined: Names of cells whose score is not defined, such as a mean over nothing; they count as missing.
        stale: Names of cells that ran with other settings, weights or code than ``suite.json`` declares; they too.
    """

    folder: Path
    suite: dict[str, Any]
    cells: dict[tuple[str, str, int], CellResult]
    strangers: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()

    @property
    def cases(self) -> dict[str, CaseInfo]:
        """What is declared of each case, by name and in order."""
        return {case["name"]: case for case in self.suite["cases"]}

    @property
    def seeds(self) -> list[int]:
        """The declared seeds."""
        return list(self.suite["seeds"])

    @property
    def algorithms(self) -> list[str]:
        """All algorithms of all cases, in the order in which they are declared first."""
        return _distinct(name for case in self.suite["cases"] for name in case["algorithms"])

    @property
    def baselines(self) -> list[str]:
        """All baselines of all cases, in the order in which they are declared first."""
        return _distinct(name for case in self.suite["cases"] for name in case["baselines"])

    def of(self, case: str, name: str) -> list[CellResult]:
        """The results of an algorithm or a baseline on a case, by seed."""
        found = (self.cells.get((case, name, seed)) for seed in self.seeds)
        return [cell for cell in found if cell is not None]

    def declares(self, case: str, name: str) -> bool:
        """Whether an algorithm or a baseline is to run on a case."""
        return name in self.cases[case]["algorithms"] or name in self.cases[case]["baselines"]

    def scores(self, case: str, name: str) -> Array:
        """The scores of an algorithm or a baseline on a case, ``(n_seeds,)``, in the unit of the case."""
        return np.array([cell["score"] for cell in self.of(case, name)], np.float64)

    def untrained(self, case: str) -> float | None:
        """The mean score of the untrained policy on a case; None where it was not measured."""
        found = self.scores(case, UNTRAINED)
        return float(found.mean()) if len(found) else None

    def start_of_curves(self, case: str) -> float | None:
        """The mean score of the untrained policy on the prompts of curves; where it is unknown, on those of scores."""
        points = [point["score"] for cell in self.of(case, UNTRAINED) for point in cell["curve"]]
        known = [score for score in points if score is not None]
        return fmean(known) if known else self.untrained(case)

    def comparable(self) -> list[str]:
        """The cases whose scores can be normalised.

        The untrained policy was measured there, and is not the best possible already.
        """
        return [name for name, case in self.cases.items() if self.untrained(name) not in (None, case["best"])]

    def normalised(self, case: str, values: Array, start: float | None = None) -> Array:
        """Scores of a comparable case, so that 0 is the untrained policy's and 1 the best possible.

        ``(score - untrained) / (best - untrained)``

        Args:
            case: The case.
            values: Scores.
            start: The untrained policy's on the same prompts; by default on the held-out ones.
        """
        start = self.untrained(case) if start is None else start
        assert start is not None, f"the untrained policy was not measured on {case}"
        return (values - start) / (self.cases[case]["best"] - start)

    def normalised_scores(self, name: str) -> dict[str, Array]:
        """Normalised scores of an algorithm or a baseline, ``(n_seeds,)`` of each comparable case that has some."""
        found = {case: self.scores(case, name) for case in self.comparable()}
        return {case: self.normalised(case, values) for case, values in found.items() if len(values)}

    def curves(self, case: str, algorithm: str) -> Array:
        """Scores on validation prompts at :data:`SHARES` of the case's steps, ``(n_seeds, n_shares)``.

        Straight lines are drawn between measurements; a last measurement after the last step stands at 1.
        """
        return np.array([_at_shares(cell, self.cases[case]["steps"]) for cell in self.of(case, algorithm)])

    def normalised_curves(self, algorithm: str) -> dict[str, Array]:
        """Normalised curves ``(n_seeds, n_shares)`` of each comparable case that has some."""
        found = {case: self.curves(case, algorithm) for case in self.comparable()}
        starts = {case: self.start_of_curves(case) for case in found}
        return {case: self.normalised(case, values, starts[case]) for case, values in found.items() if len(values)}

    def missing(self) -> dict[tuple[str, str], list[int]]:
        """The seeds that are declared and not there, by case and algorithm or baseline."""
        absent: dict[tuple[str, str], list[int]] = {}
        for case, name, seed in self.declared():
            if (case, name, seed) not in self.cells:
                absent.setdefault((case, name), []).append(seed)
        return absent

    def declared(self) -> list[tuple[str, str, int]]:
        """All cells that ``suite.json`` declares."""
        return [
            (case["name"], name, seed)
            for case in self.suite["cases"]
            for name in (*case["algorithms"], *case["baselines"])
            for seed in self.seeds
        ]


def read_grid(folder: str | Path) -> Grid:
    """Read a folder of results.

    Raises:
        DataError: It is no folder of results, a file is damaged, no cell has ended, or the untrained policy
            was measured on no case.
    """
    results = ResultsFolder(folder)
    suite = results.read_suite()
    found = {(cell["case"], cell["algorithm"], cell["seed"]): cell for cell in results.read_cells()}
    if not found:
        raise DataError(
            f"{str(folder)!r} has no finished cell, so there is nothing to report. Go on with: {suite.get('command')}"
        )
    known = set(Grid(Path(folder), suite, {}).declared())
    declared = suite["fingerprints"]
    names = {key: "/".join(map(str, key)) for key in found}
    stale = {key for key in known & found.keys() if found[key]["fingerprint"] != declared.get(names[key])}
    scored = {key: cell for key, cell in found.items() if key in known - stale and cell["score"] is not None}
    strangers = tuple(names[key] for key in found if key not in known)
    undefined = tuple(names[key] for key in found if key in known - stale and key not in scored)
    grid = Grid(Path(folder), suite, scored, strangers, undefined, tuple(sorted(names[key] for key in stale)))
    if all(grid.untrained(case) is None for case in grid.cases):
        raise DataError(
            f"{str(folder)!r} has no finished cell of the baseline 'untrained', and scores are measured from "
            f"its own. Run it with: python -m benchmarks run --set {suite['set']} --only '*/untrained/*' "
            f"--out {folder}"
        )
    return grid


def common_cases(scores: Iterable[Iterable[str]]) -> list[str]:
    """The cases that all of some mappings of cases have, in the order of the first."""
    sets = [list(each) for each in scores]
    return [case for case in sets[0] if all(case in other for other in sets)] if sets else []


def mean_of_metric(cells: Sequence[CellResult], key: str) -> float | None:
    """The mean of a number over cells; None where no cell has it."""
    values = [cell[key] for cell in cells if cell[key] is not None]
    return fmean(values) if values else None


def _at_shares(cell: CellResult, steps: int) -> Array:
    points = [point for point in cell["curve"] if point["score"] is not None]
    if not points:
        return np.full_like(SHARES, np.nan)
    shares = [min(point["step"] / steps, 1.0) for point in points]
    return np.interp(SHARES, shares, [point["score"] for point in points])


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
