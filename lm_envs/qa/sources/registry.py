"""Which questions are meant by ``dataset=``: a registered name, a generator's, or data of the user's own."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lm_envs.data.hub import is_data_set
from lm_envs.errors import ConfigurationError, UnknownNameError
from lm_envs.qa.questions import Questions

Factory = Callable[..., Questions]

GENERATORS = "reasoning_gym"

# those of this package, imported when they are asked for
_OWN = {
    "intent": ("lm_envs.qa.sources.intents", "IntentQuestions"),
    GENERATORS: ("lm_envs.qa.sources.levels", "reasoning_gym_questions"),
    "passages": ("lm_envs.qa.sources.passages", "PassageQuestions"),
    "relation": ("lm_envs.qa.sources.relations", "RelationQuestions"),
    "sentiment": ("lm_envs.qa.sources.reviews", "SentimentQuestions"),
    "topic": ("lm_envs.qa.sources.reviews", "TopicQuestions"),
}
_registered: dict[str, Factory] = {}


def register(name: str, factory: Factory) -> Factory:
    """Make questions available as ``gym.make("QA-v0", dataset=name)``.

    Args:
        name: The name; without a colon.
        factory: Called as ``factory(split=..., **dataset_kwargs)``, returns :class:`lm_envs.qa.questions.Questions`.

    Raises:
        ConfigurationError: The name is not usable, the factory cannot be called, or another one has that name.
    """
    if not isinstance(name, str) or not name or ":" in name:
        raise ConfigurationError(f"the name of questions has to be a string without a colon, got {name!r}")
    if not callable(factory):
        raise ConfigurationError(f"expected a class or function that makes Questions, got {factory!r}")
    if name in _OWN or _registered.get(name, factory) is not factory:
        raise ConfigurationError(f"questions named {name!r} are registered already: choose another name")
    _registered[name] = factory
    return factory


def names() -> list[str]:
    """The names of all registered questions, sorted."""
    return sorted({*_OWN, *_registered})


def get(name: str) -> Factory:
    """What makes the questions of that name.

    Raises:
        UnknownNameError: Nobody registered questions of that name.
    """
    if name in _OWN:
        module, attribute = _OWN[name]
        return getattr(importlib.import_module(module), attribute)
    if name not in _registered:
        raise UnknownNameError.for_name("dataset of questions", name, names(), _REMEDY)
    return _registered[name]


_REMEDY = (
    "Questions of your own: a file, a list of rows, a data set id, or a subclass of lm_envs.qa.questions.Questions."
)


def load_questions(dataset: Any, split: str = "train", *, dataset_kwargs: Mapping[str, Any] | None = None) -> Questions:
    """The questions of one split.

    Args:
        dataset: One of

            - a registered name: ``"passages"``, ``"sentiment"``, ``"topic"``, ``"intent"``, ``"relation"``, or one that
              you registered with :func:`register`;
            - ``"reasoning_gym:NAME"``, ``"reasoning_gym:NAME,NAME"`` or a mapping from names to weights: generators of
              the package reasoning-gym, see :func:`lm_envs.qa.sources.levels.reasoning_gym_questions`;
            - a subclass of :class:`lm_envs.qa.questions.Questions`, or a function that returns such questions;
            - the user's own rows, in all forms that :func:`lm_envs.data.load_dataset` takes, read by
              :class:`lm_envs.qa.sources.own_data.OwnQuestions`.
        split: ``"train"``, ``"validation"`` or ``"test"``, or another name that the user's data have.
        dataset_kwargs: Arguments of the source's own.

    Raises:
        ConfigurationError: The source refuses its arguments, or makes something else.
        DataError: The data are missing or malformed.
        MissingDependencyError: A package that the source needs is not installed.
        UnknownNameError: There are no questions of that name, or no such split.
    """
    kwargs = dict(dataset_kwargs or {})
    factory, first = _factory(dataset)
    return _made(factory, dataset, {**first, "split": split}, kwargs)


def _factory(dataset: Any) -> tuple[Factory, dict[str, Any]]:
    """What makes the questions, and the arguments that follow from ``dataset`` itself."""
    if isinstance(dataset, str) and dataset in names():
        return get(dataset), {}
    if isinstance(dataset, str) and dataset.startswith(f"{GENERATORS}:"):
        return get(GENERATORS), {"generators": dataset.removeprefix(f"{GENERATORS}:")}
    if isinstance(dataset, Mapping) and not is_data_set(dataset):
        return get(GENERATORS), {"generators": dataset}
    if callable(dataset):
        return dataset, {}
    if isinstance(dataset, str):
        _check_spelling(dataset)
    from lm_envs.qa.sources.own_data import OwnQuestions

    return OwnQuestions, {"dataset": dataset}


def _check_spelling(dataset: str) -> None:
    """Raise an error for what is nearly a name and no file: nobody wants a search on the hub for ``"pasages"``."""
    name, colon, generator = dataset.partition(":")
    if {"/", "."} & set(name) or Path(dataset).exists():
        return
    known = [GENERATORS] if colon else names()
    if difflib.get_close_matches(name, known, n=1, cutoff=0.75):
        meant = f"Write {GENERATORS}:{generator}." if colon else _REMEDY
        raise UnknownNameError.for_name("dataset of questions", name, known, meant)
    if not colon and _is_generator(name):
        remedy = f"It is a generator of reasoning-gym: write '{GENERATORS}:{name}'. {_REMEDY}"
        raise UnknownNameError.for_name("dataset of questions", name, names(), remedy)


def _is_generator(name: str) -> bool:
    from lm_envs.qa.sources.generator import generator_names

    return importlib.util.find_spec("reasoning_gym") is not None and name in generator_names()


def _made(factory: Factory, dataset: Any, given: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Questions:
    parameters = _parameters(factory)
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in kwargs:
        if name in given or (not takes_any and name not in parameters):
            known = [key for key in parameters if key not in given]
            error = UnknownNameError.for_name(f"argument of the dataset {_show(dataset)}", name, known)
            raise ConfigurationError(f"dataset_kwargs: {error}")
    made = factory(**given, **kwargs)
    if not isinstance(made, Questions):
        raise ConfigurationError(f"the dataset {_show(dataset)} made {made!r}; expected lm_envs.qa.questions.Questions")
    return made


def _parameters(factory: Factory) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory).parameters
    except ValueError as error:
        raise ConfigurationError(f"expected a class or function that makes Questions, got {factory!r}") from error


def _show(dataset: Any) -> str:
    text = repr(dataset)
    return text if len(text) <= 80 else text[:77] + "..."
