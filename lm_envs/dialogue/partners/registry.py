"""Which partner is meant by ``partner=``: a registered name, or a class or function of the user's own."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from lm_envs.dialogue.partners.protocol import Partners
from lm_envs.errors import ConfigurationError, UnknownNameError

Factory = Callable[..., Partners]

# those of this package, imported when they are asked for
_OWN = {
    "agenda": ("lm_envs.dialogue.partners.agenda", "AgendaPartners"),
    "lm": ("lm_envs.dialogue.partners.language_model", "LanguageModelPartners"),
    "replay": ("lm_envs.dialogue.partners.replay", "ReplayPartners"),
}
_registered: dict[str, Factory] = {}


def register(name: str, factory: Factory) -> Factory:
    """Make partners available as ``gym.make("Dialogue-v0", partner=name)``.

    Args:
        name: The name.
        factory: Called as ``factory(num_rows=..., **partner_kwargs)``, returns :class:`Partners`. What it has
            parameters for of the environment's ``split``, ``device``, ``model``, ``dataset`` and
            ``trust_remote_code`` it gets, too.

    Raises:
        ConfigurationError: The factory cannot be called, or another one has that name.
    """
    if not callable(factory):
        raise ConfigurationError(f"expected a class or function that makes Partners, got {factory!r}")
    if name in _OWN or _registered.get(name, factory) is not factory:
        raise ConfigurationError(f"a partner named {name!r} is registered already: choose another name")
    _registered[name] = factory
    return factory


def names() -> list[str]:
    """The names of all registered partners, sorted."""
    return sorted({*_OWN, *_registered})


def get(name: str) -> Factory:
    """What makes the partners of that name.

    Raises:
        UnknownNameError: Nobody registered a partner of that name.
    """
    if name in _OWN:
        module, attribute = _OWN[name]
        return getattr(importlib.import_module(module), attribute)
    if name not in _registered:
        remedy = "A partner of your own can also be passed itself: a class with open and reply, or a function."
        raise UnknownNameError.for_name("partner", name, names(), remedy)
    return _registered[name]


def make_partners(
    partner: Any, num_rows: int, partner_kwargs: Mapping[str, Any], environment: Mapping[str, Any]
) -> Partners:
    """The partners of an environment.

    Args:
        partner: A registered name, a subclass of :class:`Partners`, or a partner for one conversation: a class, or a
            function of the messages so far.
        num_rows: Number of conversations side by side.
        partner_kwargs: The partner's own arguments.
        environment: Arguments of the environment that partners may want.

    Raises:
        ConfigurationError: ``partner`` is something else, or refuses its arguments.
        UnknownNameError: There is no partner of that name.
    """
    if isinstance(partner, str):
        factory = get(partner)
    elif inspect.isclass(partner) and issubclass(partner, Partners):
        factory = partner
    elif callable(partner):
        from lm_envs.dialogue.partners.one_each import OneEach

        return OneEach(partner, num_rows=num_rows, partner_kwargs=partner_kwargs)
    else:
        raise ConfigurationError(
            f"expected a partner's name ({', '.join(names())}), a class with the methods open and reply, or a function "
            f"of the messages so far; got {partner!r}. Of an object, pass its class: every environment makes its own"
        )
    return _made(factory, partner, num_rows, partner_kwargs, environment)


def _made(
    factory: Factory, partner: Any, num_rows: int, partner_kwargs: Mapping[str, Any], environment: Mapping[str, Any]
) -> Partners:
    parameters = inspect.signature(factory).parameters
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in partner_kwargs:
        if not takes_any and (name not in parameters or name == "num_rows"):
            known = [key for key in parameters if key != "num_rows"]
            error = UnknownNameError.for_name(f"argument of the partner {partner!r}", name, known)
            raise ConfigurationError(str(error))
    offered = {name: value for name, value in environment.items() if name in parameters}
    made = factory(num_rows=num_rows, **{**offered, **partner_kwargs})
    if not isinstance(made, Partners):
        raise ConfigurationError(f"the partner {partner!r} made {made!r}; expected lm_envs.dialogue.partners.Partners")
    return made
