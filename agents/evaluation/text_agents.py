"""Agents that speak text: any function from a conversation to the next turn, called by name, alone or together."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from lm_envs.awaiting import await_together
from lm_envs.dialogue.partners.protocol import Message
from lm_envs.errors import AgentError, ConfigurationError, UnknownNameError
from lm_envs.wrappers.any_text import is_unicode

TextAgent = Callable[[list[Message]], str | Awaitable[str]]
"""``agent(messages) -> str``, plain or ``async``; messages have ``role`` and ``content``, the last is the user's."""


class Speaker:
    """An agent with a name for error messages.

    Args:
        agent: The agent.
        name: Its name; None for that of the function.

    Raises:
        ConfigurationError: It cannot be called.
    """

    def __init__(self, agent: TextAgent, name: str | None = None) -> None:
        if not callable(agent) or inspect.isclass(agent):
            raise ConfigurationError(
                f"an agent is a function agent(messages) that returns the next turn as str, or an object that can be "
                f"called so; got {agent!r:.80}"
            )
        self.agent = agent
        self.name = name or getattr(agent, "__qualname__", type(agent).__name__)

    @property
    def is_async(self) -> bool:
        """Whether its answers are awaited."""
        return any(inspect.iscoroutinefunction(function) for function in (self.agent, self.agent.__call__))  # type: ignore[operator]

    def answers(self, conversations: Sequence[list[Message]]) -> list[str]:
        """The next turn in each conversation; those of an ``async`` agent are awaited together.

        Raises:
            AgentError: The agent raised an error, or returned something else than a text.
        """
        answers = [self._call(messages) for messages in conversations]
        awaited = [i for i, answer in enumerate(answers) if inspect.isawaitable(answer)]
        for i, result in zip(awaited, await_together([answers[i] for i in awaited]) if awaited else [], strict=True):
            answers[i] = result
        return [self._checked(answer, messages) for answer, messages in zip(answers, conversations, strict=True)]

    def _call(self, messages: list[Message]) -> Any:
        """What the agent returns for messages of its own, or the error that it raises."""
        try:
            return self.agent([Message(**message) for message in messages])
        except Exception as error:
            return error

    def _checked(self, answer: Any, messages: list[Message]) -> str:
        if isinstance(answer, str) and is_unicode(answer):
            return answer
        place = f"after {len(messages)} message(s), the last of them {messages[-1]['content']!r:.80}"
        if isinstance(answer, BaseException):
            raise AgentError(f"the agent {self.name} raised {type(answer).__name__}: {answer} ({place})") from answer
        raise AgentError(
            f"the agent {self.name} returned {type(answer).__name__} {answer!r:.80}; expected a str "
            f"without lone surrogates, what the agent says next ({place})"
        )


def import_agent(path: str) -> Speaker:
    """Import an agent by its path; the current directory counts as importable.

    Args:
        path: ``"module:function"``; the function may be an attribute of an attribute.

    Raises:
        AgentError: Importing the module raised an error.
        ConfigurationError: The path has another form, or what it names is no function.
        UnknownNameError: There is no such module, or no such function in it.
    """
    module_name, colon, attribute = path.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigurationError(f"expected an agent as MODULE:FUNCTION, for example my_agents:polite; got {path!r}.")
    found: Any = _import(module_name)
    for name in attribute.split("."):
        if not hasattr(found, name):
            known = [key for key, value in vars(found).items() if callable(value) and not key.startswith("_")]
            raise UnknownNameError.for_name(f"function of {module_name}", name, known)
        found = getattr(found, name)
    return Speaker(found, path)


def _import(name: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise AgentError(f"importing {name} failed: {error}. Install what it needs.") from error
        raise UnknownNameError(
            f"there is no module {name!r}. An agent is MODULE:FUNCTION; the module lies in the current directory "
            f"({os.getcwd()}) or is installed."
        ) from error
    except Exception as error:
        raise AgentError(f"importing {name} failed with {type(error).__name__}: {error}") from error
