"""Template engines by name: which names a template uses, what is odd about it, and its text with values in it."""

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from regalia.core.errors import ConfigurationError, SourceError, UnsupportedError


class Engine(Protocol):
    """What each engine's module offers."""

    def variables_of(self, template: str) -> tuple[str, ...]:
        """List the names used, in order of first use, each once."""
        ...

    def warnings_of(self, template: str) -> tuple[str, ...]:
        """List what an author may have meant otherwise."""
        ...

    def check(self, template: str) -> None:
        """Refuse what the engine can't read."""
        ...

    def render(self, template: str, values: Mapping[str, object]) -> str:
        """Put the values in."""
        ...


# Loaded by name when a prompt needs one: jinja2 is an extra, and an agent's cold start pays for every import.
_MODULES = {
    "none": "regalia.core.templates.literal",
    "fstring": "regalia.core.templates.fstring",
    "curly": "regalia.core.templates.curly",
    "jinja2": "regalia.core.templates.jinja",
}
_LATER = frozenset({"mustache", "handlebars", "liquid"})

FORMATS: tuple[str, ...] = tuple(_MODULES)


def variables_of(template_format: str, template: str) -> tuple[str, ...]:
    """List the names that a template uses, in order of first use, each once.

    Raises:
        SourceError: The template's syntax is broken.
    """
    return _engine(template_format).variables_of(template)


def warnings_of(template_format: str, template: str) -> tuple[str, ...]:
    """List what an author may have meant otherwise: another engine's braces, braces that read two ways."""
    return _engine(template_format).warnings_of(template)


def check(template_format: str, template: str) -> None:
    """Check a template's syntax.

    Raises:
        SourceError: It is broken, or reaches for another file.
    """
    _engine(template_format).check(template)


def render(template_format: str, template: str, values: Mapping[str, object]) -> str:
    """Put the values in, each once and never interpreted again.

    Raises:
        ConfigurationError: The engine is an extra that is not installed.
        RenderError: A variable is missing or of a type that has no text, or the result is out of bounds.
    """
    return _engine(template_format).render(template, values)


def _engine(template_format: str) -> Engine:
    if template_format in _LATER:
        raise UnsupportedError(
            f'the template format "{template_format}" is not rendered by this version',
            hint=f"use one of {', '.join(FORMATS)}",
        )
    if template_format not in _MODULES:
        raise SourceError(
            f"{template_format[:80]!r} is no template format", hint=f"template_format is one of {', '.join(FORMATS)}"
        )
    try:
        return cast("Engine", importlib.import_module(_MODULES[template_format]))
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'the template format "{template_format}" needs {error.name}, which is not installed',
            hint="pip install 'regalia[jinja2]'",
        ) from error
