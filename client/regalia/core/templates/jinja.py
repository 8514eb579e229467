"""Jinja2 (`jinja2`), held in: no files, no attributes but data's, and a bound on what a template may ask for."""

import re
from collections.abc import Mapping

from regalia.core.errors import ConfigurationError, RenderError, SourceError
from regalia.core.templates.values import MAX_OUTPUT, NAME, each_once, joined

try:
    from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
    from jinja2.exceptions import SecurityError
    from jinja2.runtime import Context
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError as error:
    raise ConfigurationError(
        "this prompt is written in Jinja2, which is not installed", hint="pip install 'regalia[jinja2]'"
    ) from error

_MAX_BITS = 4096
_SINGLE = re.compile(r"(?<!\{)\{(" + NAME + r")\}(?!\})")
_OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
# What a template can make Python raise: it runs any expression on any value.
_FAULTS = (
    TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)
_UNREADABLE = (SyntaxError, MemoryError, RecursionError, ValueError)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox with bounds on what an operator may make."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """Refuse an operation whose result is out of bounds."""
        if operator == "%" and isinstance(left, str):
            raise SecurityError("% on a text is not available")
        if _size_after(operator, left, right) > MAX_OUTPUT:
            raise SecurityError(f'"{operator}" makes too much')
        return super().call_binop(context, operator, left, right)


def variables_of(template: str) -> tuple[str, ...]:
    """List the names that no part of the template sets."""
    environment = _environment()
    tree = _parse(environment, template)
    names = meta.find_undeclared_variables(tree) - environment.globals.keys()
    return each_once(name.name for name in tree.find_all(nodes.Name) if name.name in names)


def warnings_of(template: str) -> tuple[str, ...]:
    """List single braces, which stay as text."""
    if found := _SINGLE.search(template):
        name = found.group(1)[:80]
        return (f'"{{{name}}}" is text in a jinja2 prompt; a variable is "{{{{ {name} }}}}"',)
    return ()


def check(template: str) -> None:
    """Refuse what Jinja2 can't read, and whatever reaches for another file."""
    environment = _environment()
    _compile(environment, template)


def render(template: str, values: Mapping[str, object]) -> str:
    """Render in the sandbox; a missing variable is an error that names it."""
    environment = _environment()
    try:
        code = _compile(environment, template)
        return joined(environment.from_string(code).generate(values))
    except SourceError as error:
        raise RenderError(error.message, hint=error.hint) from error
    except _FAULTS as error:
        raise RenderError(f"the template does not render: {str(error)[:200] or type(error).__name__}") from error


def _environment() -> _Environment:
    environment = _Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False, optimized=False)
    del environment.globals["lipsum"]
    del environment.filters["random"]
    return environment


def _parse(environment: _Environment, template: str) -> nodes.Template:
    try:
        tree = environment.parse(template)
    except TemplateSyntaxError as error:
        raise SourceError(f"the template does not parse: {error.message}, line {error.lineno}") from error
    except _UNREADABLE as error:
        raise SourceError(f"the template does not parse: {type(error).__name__}") from error
    for node in tree.find_all(_OTHER_FILES):
        raise SourceError(
            f"the template reaches for another file in line {node.lineno}",
            hint="a prompt is one file: write the text of the other one in its place",
        )
    return tree


def _compile(environment: _Environment, template: str) -> nodes.Template:
    tree = _parse(environment, template)
    try:
        environment.compile(tree)
    except TemplateSyntaxError as error:
        raise SourceError(f"the template does not parse: {error.message}, line {error.lineno}") from error
    except _UNREADABLE as error:
        raise SourceError(f"the template does not parse: {type(error).__name__}") from error
    return tree


def _size_after(operator: str, left: object, right: object) -> int:
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
        return MAX_OUTPUT + 1 if bits > _MAX_BITS else 0
    first, second = _length(left), _length(right)
    return first * second if operator == "*" else first + second


def _length(value: object) -> int:
    if isinstance(value, str | list | tuple):
        return len(value)
    return value if isinstance(value, int) else 0
