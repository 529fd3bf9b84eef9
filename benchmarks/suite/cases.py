"""Which cells a set of the suite has: ``suite.yml`` read, checked and resolved to settings of training runs."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from agents.recipes.train_config import TrainConfig, make_config
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.models.aliases import resolve

SUITE_FILE = Path(__file__).with_name("suite.yml")
ALGORITHMS = ("ppo", "a2c", "grpo", "nlpo", "trpo", "dqn", "qrdqn")
BASELINES = ("untrained", "random", "greedy", "writing", "best_of_n", "supervised", "oracle")
FORMATS = {"learned": 1, "baseline": 2}
"""By kind, a part of every fingerprint: raise it when the code of cells is changed so that they give other numbers."""

_WEIGHTS = ("*.safetensors", "*.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True)
class Case:
    """A task with its measure, and what is compared on it.

    Attributes:
        name: Such as ``"textgen-reviews"``.
        title: The same for readers.
        env_id: A registered environment.
        score: The metric of the held-out evaluation that counts.
        best: The greatest possible value of that metric.
        steps: Environment steps of training, for every algorithm.
        task: A registered task, for environments with tasks.
        dataset: A data set, a file or a folder.
        reward: A registered name, names with weights, or None for the task's own.
        env_kwargs: Further arguments of the environment.
        algorithms: By name, what :func:`~agents.recipes.train_config.make_config` takes besides.
        baselines: By name, what the baseline's function takes besides.
    """

    name: str
    title: str
    env_id: str
    score: str
    best: float
    steps: int
    task: str | None = None
    dataset: str | None = None
    reward: str | dict[str, float] | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    algorithms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check names.

        Raises:
            UnknownNameError: There is no such algorithm or baseline.
        """
        for kind, names, known in (
            ("algorithm", self.algorithms, ALGORITHMS),
            ("baseline", self.baselines, BASELINES),
        ):
            for name in names:
                if name not in known:
                    raise UnknownNameError.for_name(f"{kind} of the case {self.name!r}", name, known)


@dataclass(frozen=True)
class Measuring:
    """With what all cells of a set run, and how much is measured.

    Attributes:
        model: Alias, hub id or folder of the language model.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        eval_prompts: Held-out prompts on which a cell is measured.
        curve_prompts: Validation prompts of each point of the curve.
        curve_points: Points of the curve, those at the start and at the end included.
    """

    model: str = "tiny"
    device: str = "cpu"
    eval_prompts: int = 256
    curve_prompts: int = 64
    curve_points: int = 6


@dataclass(frozen=True)
class Cell:
    """One algorithm, or baseline, with one seed on one case.

    Attributes:
        case: The case.
        algorithm: A name out of :data:`ALGORITHMS` or :data:`BASELINES`.
        seed: Seed of everything random.
        measuring: What is the same for the whole set.
        set_name: The set that it belongs to, for its command; no number depends on it.
    """

    case: Case
    algorithm: str
    seed: int
    measuring: Measuring = Measuring()
    set_name: str = "suite"

    @property
    def name(self) -> str:
        """``case/algorithm/seed``."""
        return f"{self.case.name}/{self.algorithm}/{self.seed}"

    @property
    def kind(self) -> str:
        """``"learned"`` or ``"baseline"``."""
        return "baseline" if self.algorithm in BASELINES else "learned"

    @property
    def command(self) -> str:
        """What runs this one cell."""
        return f"python -m benchmarks run --set {self.set_name} --only {self.name}"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the cell's numbers but the weights, as JSON values."""
        decisive: dict[str, Any] = dataclasses.asdict(self.measuring) | {"score": self.case.score}
        if self.kind == "learned":
            return decisive | {"train": self.train_config().to_dict()}
        config = self.supervised_config().to_dict() if self.algorithm == "supervised" else None
        named = {name: getattr(self.case, name) for name in ("env_id", "task", "dataset", "reward")}
        return decisive | {
            "baseline": self.algorithm,
            "seed": self.seed,
            "environment": {**named, "env_kwargs": dict(self.case.env_kwargs)},
            "arguments": dict(self.case.baselines[self.algorithm]),
            "policy": config,
        }

    @functools.cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits of SHA-256 over everything that decides the cell's numbers."""
        decisive = {"format": FORMATS[self.kind], "weights": digest_of_model(self.measuring.model), **self.settings}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]

    def train_config(self, algorithm: str | None = None) -> TrainConfig:
        """The settings of the training run that is this cell.

        Args:
            algorithm: Another algorithm of the case.

        Raises:
            LMEnvsError: No recipe for the combination, or a value that cannot work.
        """
        name = algorithm or self.algorithm
        own = dict(self.case.algorithms[name])
        values = {
            "env_id": self.case.env_id,
            "task": self.case.task,
            "dataset": self.case.dataset,
            "reward": self.case.reward,
            "algorithm": name,
            "model": self.measuring.model,
            "device": self.measuring.device,
            "env_kwargs": {**self.case.env_kwargs, **own.pop("env_kwargs", {})},
            "steps": self.case.steps,
            "checkpoint_every": self.case.steps,
            "eval_prompts": self.measuring.eval_prompts,
            "threads": 1,
            **own,
        }
        return dataclasses.replace(_resolved(json.dumps(values)), seed=self.seed)

    def supervised_config(self) -> TrainConfig:
        """The settings of the run whose policy supervised learning begins with: ``like`` names its algorithm."""
        like = self.case.baselines["supervised"].get("like", next(iter(self.case.algorithms)))
        return self.train_config(like)


@dataclass(frozen=True)
class BenchmarkSet:
    """A set of cells with a name.

    Attributes:
        name: Its key in ``suite.yml``.
        cases: In order.
        seeds: Of every algorithm and baseline.
        measuring: What is the same for all cells.
    """

    name: str
    cases: tuple[Case, ...]
    seeds: tuple[int, ...]
    measuring: Measuring

    def cells(self) -> list[Cell]:
        """All cells: case by case, learned ones before baselines, seed by seed."""
        return [
            Cell(case, algorithm, seed, self.measuring, self.name)
            for case in self.cases
            for algorithm, seed in itertools.product([*case.algorithms, *case.baselines], self.seeds)
        ]


def chosen(cells: Sequence[Cell], patterns: Sequence[str]) -> list[Cell]:
    """The cells whose name fits one of some patterns as of a shell; all where there are none.

    Raises:
        UnknownNameError: A pattern fits no cell.
    """
    for pattern in patterns:
        if not any(fnmatchcase(cell.name, pattern) for cell in cells):
            raise UnknownNameError(_no_cell(pattern, cells))
    return [cell for cell in cells if not patterns or any(fnmatchcase(cell.name, each) for each in patterns)]


def _no_cell(pattern: str, cells: Sequence[Cell]) -> str:
    parts = [dict.fromkeys(map(str, column)) for column in zip(*(cell.name.split("/") for cell in cells), strict=True)]
    known = [f"{kind} {', '.join(part)}" for kind, part in zip(("cases", "algorithms", "seeds"), parts, strict=True)]
    return (
        f"no cell fits the pattern {pattern!r}. It is matched with case/algorithm/seed, such as 'textgen-*/ppo/0' or "
        f"'*/dqn/*'. Here are the {'; the '.join(known)}."
    )


def unknown_score(cell: Cell, metrics: Iterable[str]) -> ConfigurationError:
    """The error for a score that the evaluation of a cell does not have."""
    return ConfigurationError(
        f"the case {cell.case.name!r} is scored by {cell.case.score!r}; the evaluation of {cell.name} has "
        f"{', '.join(metrics)}. Correct the case's score in suite.yml."
    )


def load_set(name: str = "suite", file: Path = SUITE_FILE) -> BenchmarkSet:
    """Read a set.

    Args:
        name: A key of ``sets``.
        file: A YAML file in the format of ``suite.yml``.

    Raises:
        ConfigurationError: The file cannot be read, or has a value that cannot work.
        UnknownNameError: There is no such set, case, algorithm, baseline or setting.
    """
    content = _read(file)
    sets, cases = _mapping(content.get("sets"), "sets", file), _mapping(content.get("cases"), "cases", file)
    if name not in sets:
        raise UnknownNameError.for_name("set", name, map(str, sets), f"Sets are declared in {str(file)!r}.")
    declared = dict(_mapping(sets[name], f"the set {name!r}", file))
    overrides = _overrides(declared.pop("cases", None), cases, name)
    algorithms = declared.pop("algorithms", None)
    seeds = _seeds(declared.pop("seeds", None), name)
    made = (_case(key, cases[key], overrides[key], algorithms, file) for key in overrides)
    return BenchmarkSet(name, tuple(made), seeds, _made(Measuring, declared, f"setting of the set {name!r}"))


@functools.cache
def digest_of_model(model: str) -> str:
    """SHA-256 of a model's weights, configuration and vocabulary; of its name where it is not on this machine."""
    folder = Path(resolve(model))
    files = sorted(file for pattern in _WEIGHTS for file in folder.glob(pattern)) if folder.is_dir() else []
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest() if files else model


@functools.cache
def _resolved(values: str) -> TrainConfig:
    """The settings of runs of all seeds, out of JSON; reading recipes takes its time."""
    return make_config(**json.loads(values))


def _read(file: Path) -> dict[Any, Any]:
    try:
        return dict(_mapping(yaml.safe_load(file.read_text(encoding="utf-8")), "the file", file))
    except OSError as error:
        raise ConfigurationError(f"cannot read the suite {str(file)!r}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{str(file)!r} is no YAML file: {error}") from error


def _mapping(value: Any, what: str, file: Path) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{what} in {str(file)!r} must be a mapping of names to values; got {value!r:.80}.")
    return value


def _overrides(given: Any, cases: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """What a set replaces in each of its cases; a list of names replaces nothing, None stands for all cases."""
    named = dict.fromkeys(cases) if given is None else dict.fromkeys(given) if isinstance(given, list) else given
    for key in named:
        if key not in cases:
            raise UnknownNameError.for_name(f"case of the set {name!r}", key, cases)
    return {key: dict(named[key] or {}) for key in named}


def _seeds(given: Any, name: str) -> tuple[int, ...]:
    whole = isinstance(given, list) and all(isinstance(seed, int) and seed >= 0 for seed in given)
    if not whole or not given or len(set(given)) != len(given):
        raise ConfigurationError(f"seeds of the set {name!r} must be different integers of at least 0; got {given!r}.")
    return tuple(given)


def _case(name: str, declared: Any, replaced: dict[str, Any], algorithms: Any, file: Path) -> Case:
    values = {"title": name, **_mapping(declared, f"the case {name!r}", file), **replaced}
    for key in ("algorithms", "baselines"):
        values[key] = {each: dict(value or {}) for each, value in _names(values.get(key), name, key).items()}
    if algorithms is not None:
        values["algorithms"] = {key: value for key, value in values["algorithms"].items() if key in algorithms}
    return _made(Case, {"name": name, **values}, f"setting of the case {name!r}")


def _names(given: Any, case: str, what: str) -> Mapping[str, Any]:
    named = dict.fromkeys(given) if isinstance(given, list) else given
    if not isinstance(named, Mapping) or not named:
        raise ConfigurationError(f"{what} of the case {case!r} must be names, with settings or without; got {given!r}.")
    return named


def _made(kind: Callable[..., Any], values: Mapping[str, Any], what: str) -> Any:
    """A dataclass out of values.

    Raises:
        ConfigurationError: One is missing.
        UnknownNameError: There is no such field.
    """
    fields = {entry.name: entry for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise UnknownNameError.for_name(what, str(key), fields)
    optional = (dataclasses.MISSING, dataclasses.MISSING)
    required = [name for name, entry in fields.items() if (entry.default, entry.default_factory) == optional]
    if missing := [name for name in required if name not in values]:
        raise ConfigurationError(f"the {what} {missing[0]!r} is missing; it needs {', '.join(required)}.")
    return kind(**values)
