"""No engine (`none`): the text is the prompt, braces and all."""

from collections.abc import Mapping


def variables_of(template: str) -> tuple[str, ...]:  # noqa: ARG001 # every engine's module has this signature
    """List no names."""
    return ()


def warnings_of(template: str) -> tuple[str, ...]:  # noqa: ARG001 # every engine's module has this signature
    """List nothing: the text reads one way."""
    return ()


def check(template: str) -> None:
    """Accept every text."""


def render(template: str, values: Mapping[str, object]) -> str:  # noqa: ARG001 # every engine's module has this signature
    """Give the text as it is."""
    return template
