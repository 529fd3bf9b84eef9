"""The levels of difficulty that reasoning-gym has for its generators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_envs.errors import ConfigurationError
from lm_envs.qa.sources.curriculum import CurriculumQuestions
from lm_envs.qa.sources.generator import Generator, import_factory
from lm_envs.qa.sources.reasoning import QUESTION, ReasoningGymQuestions, configs_of, weights_of


def reasoning_gym_questions(
    generators: str | Sequence[str] | Mapping[str, float] = "",
    split: str = "train",
    config: Mapping[str, Any] | None = None,
    size: int | None = None,
    template: str = QUESTION,
    level: int | None = None,
    curriculum: bool | Mapping[str, Any] = False,
) -> ReasoningGymQuestions | CurriculumQuestions:
    """Questions of generators of reasoning-gym, at one level of difficulty or at levels that follow the success.

    Args:
        generators: See :class:`lm_envs.qa.sources.reasoning.ReasoningGymQuestions`.
        split: Likewise.
        config: Likewise; its options go before those of the level.
        size: Likewise.
        template: Likewise.
        level: One of the levels that the package has for the generator, from 0; None: what ``config`` says, and the
            generator's own defaults. Of several generators, one with fewer levels stays at its highest.
        curriculum: True, or the arguments of :class:`lm_envs.qa.sources.curriculum.CurriculumQuestions`: change the
            level by the share of right answers. At the highest levels some generators (``jugs``, ``zebra_puzzles``)
            take many seconds for a question.

    Raises:
        ConfigurationError: The generators have no such level, or none at all; or as in the classes above.
        MissingDependencyError: reasoning-gym is not installed.
        UnknownNameError: There is no such generator or split.
    """
    if level is None and not curriculum:
        return ReasoningGymQuestions(generators, split, config, size, template)
    weights = weights_of(generators)
    configs = configs_of(list(weights), config)
    levels = {name: level_configs(name, configs[name]) for name in weights}
    n_levels = max(len(found) for found in levels.values())
    if not n_levels:
        raise ConfigurationError(
            f"reasoning-gym has no levels for {', '.join(weights)}: set the difficulty by config=..."
        )
    if level is not None and (not isinstance(level, int) or isinstance(level, bool) or not 0 <= level < n_levels):
        raise ConfigurationError(f"level has to be an integer from 0 to {n_levels - 1}, got {level!r}")
    wanted = range(n_levels) if curriculum else [level or 0]
    made = [ReasoningGymQuestions(weights, split, _at(number, levels, configs), size, template) for number in wanted]
    if not curriculum:
        return made[0]
    arguments = {"level": level or 0, **(curriculum if isinstance(curriculum, Mapping) else {})}
    return _curriculum(made, arguments)


def _at(
    level: int, levels: Mapping[str, Sequence[dict[str, Any]]], configs: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The options of each generator at a level, or at its highest, or without levels."""
    return {name: (found or [configs[name]])[: level + 1][-1] for name, found in levels.items()}


def _curriculum(levels: Sequence[ReasoningGymQuestions], arguments: Mapping[str, Any]) -> CurriculumQuestions:
    try:
        return CurriculumQuestions(levels, **arguments)
    except TypeError as error:
        known = "level, raise_at, lower_at, window"
        raise ConfigurationError(f"curriculum has to be True or a mapping with {known}: {error}") from error


def level_configs(name: str, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options of a generator at each of its levels, the easiest first.

    A level whose options the generator itself refuses, as some of the package's are, is left out.

    Args:
        name: The generator.
        config: Options that stay the same.
    """
    Generator(name, config)
    factory = import_factory()
    if not factory.has_curriculum(name):
        return []
    curriculum = factory.create_curriculum(name)
    attributes = list(curriculum.attributes.values())
    found: list[dict[str, Any]] = []
    for level in range(max((len(attribute.levels) for attribute in attributes), default=0)):
        curriculum.set_global_level(level)
        try:
            made = curriculum.generate_configuration()
            options = {option: getattr(made, option) for attribute in attributes for option in _options(attribute)}
            Generator(name, {**options, **config})
        except (AssertionError, ConfigurationError, TypeError, ValueError):
            continue
        found.append({**options, **config})
    return found


def _options(attribute: Any) -> list[str]:
    """The options that an attribute of a curriculum sets."""
    fields = ("field_name", "lower_field_name", "upper_field_name")
    return [getattr(attribute, field) for field in fields if hasattr(attribute, field)]
