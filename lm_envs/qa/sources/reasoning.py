"""The procedural generators of reasoning-gym: arithmetic, logic, games, graphs, and many more."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, ClassVar

from lm_envs.data.splits import canonical
from lm_envs.data.templates import check_template, fill
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.qa.questions import Question, Questions
from lm_envs.qa.sources.generator import AnswerScore, Generator
from lm_envs.world.splits import SIZES, check_split

FIRST_SEEDS = {"train": 0, "validation": 1_000_000_000, "test": 2_000_000_000}
QUESTION = "{question}"
LARGEST_SIZE = 1_000_000_000
_EXAMPLE = "Write for example dataset='reasoning_gym:chain_sum', or dataset={'chain_sum': 2, 'spell_backward': 1}"


class ReasoningGymQuestions(Questions):
    """Questions of one or several generators, scored by the generators themselves.

    The question of a number has that number's seed, and the splits' seeds are disjoint; a generator of few questions
    can make the same one from two seeds. A few generators (``isomorphic_strings``, ``knight_swap``,
    ``polynomial_multiplication``, ``ransom_note``, ``word_ladder``) depend on the order of sets: set ``PYTHONHASHSEED``
    to have the same questions in every process. The package's scorers parse what they are given, some with sympy: do
    not let them score texts of people whom you do not trust.

    Args:
        generators: A generator's name, several with commas between them or in a list, or a mapping from names to
            weights.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        config: The generator's options, which set the difficulty; of several generators, a mapping from the name to the
            options.
        size: Number of questions; None: 4096 to train on, 512 each to validate and to test.
        template: The prompt, with the field ``{question}``.

    Columns:
        ``score`` (a function from an answer to its score, for the reward ``verifier``), ``generator`` (its name).

    Raises:
        ConfigurationError: No generator, a weight that is not positive, an option that a generator does not know or
            refuses, an impossible size.
        MissingDependencyError: reasoning-gym is not installed.
        UnknownNameError: There is no such generator or split.

    References:
        Stojanovski et al. 2025, https://arxiv.org/abs/2505.24760
    """

    columns: ClassVar[tuple[str, ...]] = ("score", "generator")
    default_reward: ClassVar[Any] = "verifier"
    generated: ClassVar[bool] = True

    def __init__(
        self,
        generators: str | Sequence[str] | Mapping[str, float] = "",
        split: str = "train",
        config: Mapping[str, Any] | None = None,
        size: int | None = None,
        template: str = QUESTION,
    ) -> None:
        split = canonical(split)
        check_split(split)
        self._template = check_template(template, ("question",))
        self._size = _checked_size(SIZES[split] if size is None else size)
        self._first_seed = FIRST_SEEDS[split]
        weights = weights_of(generators)
        configs = configs_of(list(weights), config)
        self._generators = [Generator(name, configs[name], self._first_seed, self._size) for name in weights]
        self._weights = list(accumulate(weights.values()))

    def __len__(self) -> int:
        """Number of questions."""
        return self._size

    def __getitem__(self, index: int) -> Question:
        """The question of that number."""
        if not -self._size <= index < self._size:
            raise IndexError(f"there is no question {index} of {self._size}")
        index %= self._size
        generator = self._generator(index)
        entry = generator.entry(index)
        prompt = fill(self._template, {"question": entry["question"]})
        columns = {"score": AnswerScore(generator, entry), "generator": generator.name}
        return Question(prompt, (str(entry["answer"]).strip(),), columns=columns)

    def _generator(self, index: int) -> Generator:
        """Drawn by the weights, always the same one for the same question."""
        if len(self._generators) == 1:
            return self._generators[0]
        return random.Random(self._first_seed + index).choices(self._generators, cum_weights=self._weights)[0]

    def is_right(self, question: Question, answer: str) -> bool:
        """Whether an answer has the full score."""
        return bool(answer.strip()) and question.columns["score"](answer) >= 1


def weights_of(generators: Any) -> dict[str, float]:
    """Names of generators, which may begin with ``reasoning_gym:``, and their weights.

    Raises:
        ConfigurationError: There is none, one occurs twice, or a weight is not a positive number.
    """
    if isinstance(generators, str):
        generators = [name.strip() for name in generators.split(",") if name.strip()]
    if not isinstance(generators, (Mapping, Sequence)) or not all(isinstance(name, str) for name in generators):
        raise ConfigurationError(f"expected names of generators of reasoning-gym, got {generators!r}. {_EXAMPLE}")
    if not generators:
        raise ConfigurationError(f"the dataset 'reasoning_gym' needs the name of a generator. {_EXAMPLE}")
    weights = generators if isinstance(generators, Mapping) else dict.fromkeys(generators, 1.0)
    names = [name.removeprefix("reasoning_gym:") for name in generators]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"a generator occurs twice in {names}: give it a weight instead. {_EXAMPLE}")
    for name, weight in weights.items():
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not 0 < weight < float("inf"):
            raise ConfigurationError(
                f"the weight of the generator {name!r} has to be a positive number, got {weight!r:.80}. A mapping "
                "stands for generators; questions of your own are a list of rows"
            )
    return {name: float(weight) for name, weight in zip(names, weights.values(), strict=True)}


def configs_of(names: Sequence[str], config: Any) -> dict[str, dict[str, Any]]:
    """The options of each generator.

    Raises:
        ConfigurationError: The options are no mapping, or for a generator that is not used.
    """
    config = {} if config is None else config
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"config has to be a mapping of a generator's options, got {config!r}")
    if len(names) == 1 and names[0] not in config:
        return {names[0]: dict(config)}
    for name, options in config.items():
        if name not in names:
            remedy = "With several generators, config is a mapping from a generator's name to its options."
            raise ConfigurationError(f"config: {UnknownNameError.for_name('generator', name, names, remedy)}")
        if not isinstance(options, Mapping):
            raise ConfigurationError(f"config of the generator {name!r} has to be a mapping, got {options!r}")
    return {name: dict(config.get(name, {})) for name in names}


def _checked_size(size: Any) -> int:
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST_SIZE:
        raise ConfigurationError(f"size has to be an integer from 1 to {LARGEST_SIZE}, got {size!r}")
    return size
