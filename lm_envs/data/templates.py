"""Prompts made from the parts of a row by a template of the user's."""

from __future__ import annotations

import string
from collections.abc import Collection, Mapping
from typing import Any

from lm_envs.errors import ConfigurationError, UnknownNameError


def check_template(template: Any, fields: Collection[str]) -> str:
    """The template as it came, if its fields are known.

    Args:
        template: A text with fields as ``str.format`` knows them: ``"{context} Question: {question} Answer:"``.
        fields: The names that may stand in braces.

    Raises:
        ConfigurationError: The template is no text, its braces are not closed, it has no field, or one that is unknown.
    """
    if not isinstance(template, str):
        raise ConfigurationError(f"a template has to be a text, got {template!r}")
    try:
        found = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ConfigurationError(
            f"the template {template!r} is malformed: {error}. Double a brace to write one"
        ) from error
    for name in found:
        if name not in fields:
            error_text = UnknownNameError.for_name("field", name, fields, "Double a brace to write one.")
            raise ConfigurationError(f"the template {template!r} has an {error_text}")
    if not found:
        raise ConfigurationError(
            f"the template {template!r} shows nothing of a question: write for example '{{question}}'"
        )
    return template


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The prompt.

    Raises:
        ConfigurationError: A field's format, what stands behind ``:`` or ``!``, does not fit its value.
    """
    try:
        return template.format_map(values)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the template {template!r} cannot be filled: {error}. Leave out what stands behind ':' or '!' in a field"
        ) from error
