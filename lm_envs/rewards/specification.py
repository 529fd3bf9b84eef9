"""Everything that a user may write for a reward, turned into one :class:`RewardSum`."""

from __future__ import annotations

import ast
import inspect
import math
import numbers
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lm_envs.errors import ConfigurationError
from lm_envs.rewards import registry
from lm_envs.rewards.combination import RewardSum, RewardTerm
from lm_envs.rewards.protocol import EXPECTED, RewardFunction, reward_name

_NAMED = re.compile(r"[A-Za-z_]\w*\s*=")  # a path or an address with an equals sign is not of this form


def make_reward(spec: Any) -> RewardSum:
    """Make a weighted sum of rewards.

    Args:
        spec: One of

            - a function ``reward(prompts, completions, **columns) -> list[float]``, plain or ``async``;
            - a registered name, with parameters if need be: ``"bleu"``, ``"length:target=20,unit=words"``; the first
              parameter needs no name: ``"model:FOLDER"``, ``"remote:http://127.0.0.1:8000,timeout=5"``;
            - a mapping from functions or names to weights: ``{"sentiment": 1.0, "repetition": 0.2}``;
            - a list of any of these;
            - a ``RewardSum``.

    Raises:
        UnknownNameError: A name is not registered.
        ConfigurationError: The specification is empty or of another type, a weight is not a finite number, a
            parameter is wrong, or a function cannot take completions.
        MissingDependencyError: A reward needs a package that is not installed.
    """
    return spec if isinstance(spec, RewardSum) else RewardSum(_terms(spec, 1.0))


def _terms(spec: Any, weight: float) -> Iterator[RewardTerm]:
    """Flatten ``spec``, multiplying the weights on the way."""
    if isinstance(spec, RewardSum):
        for term in spec.terms:
            yield RewardTerm(term.name, term.function, weight * term.weight)
    elif isinstance(spec, str):
        name, params = _parse(spec)
        yield RewardTerm(name, registry.get(name, **params), weight)
    elif isinstance(spec, Mapping):
        for key, value in spec.items():
            yield from _terms(key, weight * _weight(key, value))
    elif isinstance(spec, (list, tuple)):
        for item in spec:
            yield from _terms(item, weight)
    else:
        function = _function(spec)
        yield RewardTerm(reward_name(function), function, weight)


def _parse(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``"length:target=20,unit=words"`` or ``"length:20,unit=words"`` into the name and the parameters."""
    name, _, rest = (part.strip() for part in text.partition(":"))
    parts = re.split(rf",(?=\s*{_NAMED.pattern})", rest) if rest else []
    params: dict[str, Any] = {}
    if parts and not _NAMED.match(parts[0]):
        params[_first_parameter(name, text)] = _literal(parts.pop(0).strip())
    for part in parts:
        key, _, value = part.partition("=")
        if key.strip() in params:
            raise ConfigurationError(f"the reward {text!r} has the parameter {key.strip()!r} twice. Leave one out.")
        params[key.strip()] = _literal(value.strip())
    return name, params


def _first_parameter(name: str, text: str) -> str:
    """The parameter that a value without a name is for."""
    own = [p for p in registry.parameters(name) if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    if not own:
        raise ConfigurationError(f"the reward {name!r} takes no parameters, got {text!r}. Write {name!r}.")
    return own[0].name


def _literal(text: str) -> Any:
    """The Python value that ``text`` spells, or else ``text`` itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _weight(key: Any, value: Any) -> float:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        name = key if isinstance(key, str) else reward_name(key)
        raise ConfigurationError(
            f"the weight of the reward {name!r} has to be a finite number, got {value!r}. Parameters belong "
            f"into the name: {{'{name}:parameter=value': 1.0}}."
        )
    return float(value)


def _function(spec: Any) -> RewardFunction:
    if inspect.isclass(spec):
        raise ConfigurationError(
            f"a reward has to be an object, got the class {spec.__name__}. Pass {spec.__name__}()."
        )
    if not callable(spec):
        raise ConfigurationError(
            f"a reward has to be a function {EXPECTED}, a registered name, a mapping of these to weights, or "
            f"a list of these; got {spec!r} ({type(spec).__name__})."
        )
    return spec
