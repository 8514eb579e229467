"""Jinja2 (`jinja2`), held in: no files, no attributes but data's, and a budget on all that a template asks for."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from types import BuiltinMethodType, MethodType
from typing import TypeVar

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from regalia.core.errors import RenderError, SourceError
from regalia.core.templates.values import NAME, check_plain, each_once, joined
from regalia.core.templates.work import MAX_RANGE, Work, check_growth, check_operation

Block = TypeVar("Block", nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)

_SINGLE = re.compile(r"(?<!\{)\{(" + NAME + r")\}(?!\})")
_OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
# No prompt needs them: one differs each time, one makes filler, the others make HTML or dumps.
_LEFT_OUT_FILTERS = ("pprint", "random", "striptags", "urlize", "xmlattr")
# They look at the value's outside only, whatever it holds.
_SHALLOW_FILTERS = frozenset({"count", "d", "default", "first", "last", "length"})
_LEFT_OUT_METHODS = frozenset({"encode", "expandtabs", "maketrans", "striptags", "to_bytes", "translate"})
# Filters of ours; no template can name one, since Jinja2's names have no space.
_COUNTED, _WEIGHED, _COMPARED, _JOINED, _SPENT = "the elements", "the value", "the sides", "the texts", "the cost"
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


def variables_of(template: str) -> tuple[str, ...]:
    """List the names that no part of the template sets; of a dotted one, the part before the dot."""
    environment = _Environment(Work())
    with _reading():
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
    _compiled(_Environment(Work()), template)


def render(template: str, values: Mapping[str, object]) -> str:
    """Render in the sandbox; a missing variable is an error that names it."""
    for name, value in values.items():
        check_plain(name, value)
    environment = _Environment(Work())
    try:
        return joined(_compiled(environment, template).generate(values))
    except SourceError as error:
        raise RenderError(error.message, hint=error.hint) from error
    except _FAULTS as error:
        raise RenderError(f"the template does not render: {str(error)[:200] or type(error).__name__}") from error


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, with one rendering's budget behind every operator, call, filter and output."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self, work: Work) -> None:
        super().__init__(
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,
            optimized=False,
            finalize=work.weighed,
        )
        self.work = work
        del self.globals["lipsum"]
        self.globals["range"] = _range
        self.filters = {
            name: _bounded(name, function, work)
            for name, function in self.filters.items()
            if name not in _LEFT_OUT_FILTERS
        }
        self.filters |= {
            _COUNTED: work.counted,
            _WEIGHED: work.weighed,
            _COMPARED: work.compared,
            _JOINED: work.joined,
            _SPENT: work.spend,
        }

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        self.work.step(left, right)
        check_operation(operator, left, right)
        return self.work.weighed(super().call_binop(context, operator, left, right))

    def call(self, context: Context, callee: object, /, *arguments: object, **named: object) -> object:
        self.work.step(arguments, named)
        owner = callee.__self__ if isinstance(callee, BuiltinMethodType | MethodType) else None
        if isinstance(owner, str | list | tuple):
            self.work.compared(owner)  # they are searched from one end to the other
        if isinstance(owner, str):
            _check_method(callee.__name__, owner, arguments, named)  # type: ignore[attr-defined] # a method has a name
        return self.work.weighed(super().call(context, callee, *arguments, **named))

    def is_safe_attribute(self, owner: object, attribute: str, value: object) -> bool:
        return attribute not in _LEFT_OUT_METHODS and super().is_safe_attribute(owner, attribute, value)

    def wrap_str_format(self, method: object) -> Callable[..., str] | None:
        safe = super().wrap_str_format(method)
        if safe is None or not isinstance(method, BuiltinMethodType | MethodType):
            return None
        text = method.__self__

        def bounded(*arguments: object, **named: object) -> str:
            check_growth("str.format", text, *arguments, **named)
            return safe(*arguments, **named)

        return bounded


class _Metering(NodeTransformer):
    """Puts the budget where Jinja2 has no hook: loops, literals, comparisons, `~`, and text that is repeated."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 # Jinja2's visitor finds it by this name
        self.generic_visit(node)
        node.iter = _filtered(node.iter, _COUNTED)
        return _spending(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Macro:  # noqa: N802 # Jinja2's visitor finds it by this name
        self.generic_visit(node)
        return _spending(node)

    visit_CallBlock = visit_Block = visit_Macro  # noqa: N815 # Jinja2's visitor finds them by these names

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802 # Jinja2's visitor finds it by this name
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), _JOINED)

    def visit_List(self, node: nodes.Expr) -> nodes.Expr:  # noqa: N802 # Jinja2's visitor finds it by this name
        self.generic_visit(node)
        return _filtered(node, _WEIGHED)

    visit_Dict = visit_List  # noqa: N815 # Jinja2's visitor finds it by this name

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:  # noqa: N802 # Jinja2's visitor finds it by this name
        self.generic_visit(node)
        return _filtered(node, _WEIGHED) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:  # noqa: N802 # Jinja2's visitor finds it by this name
        self.generic_visit(node)
        return _filtered(node, _WEIGHED) if isinstance(node.arg, nodes.Slice) else node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:  # noqa: N802 # Jinja2's visitor finds it by this name
        self.generic_visit(node)
        node.expr = _filtered(node.expr, _COMPARED)
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, _COMPARED)
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Test:  # noqa: N802 # Jinja2's visitor finds it by this name
        self.generic_visit(node)
        if node.args:  # those without compare nothing
            node.node = _filtered(node.node, _COMPARED)
            node.args = [_filtered(argument, _COMPARED) for argument in node.args]
        return node


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _spending(node: Block) -> Block:
    """Make a body pay for its own text each time that it runs."""
    text = sum(len(data.data) for part in node.body for data in part.find_all(nodes.TemplateData))
    cost = nodes.Const(text + 1, lineno=node.lineno)
    node.body.insert(0, nodes.ExprStmt(_filtered(cost, _SPENT), lineno=node.lineno))
    return node


def _bounded(name: str, function: Callable[..., object], work: Work) -> Callable[..., object]:
    hidden = 1 if hasattr(function, "jinja_pass_arg") else 0  # the context or environment, which Jinja2 puts in front

    @wraps(function)
    def shallow(*arguments: object, **named: object) -> object:
        work.step()
        return function(*arguments[:hidden], *map(work.whole, arguments[hidden:]), **named)

    @wraps(function)
    def filtered(*arguments: object, **named: object) -> object:
        plain = [*map(work.weighed, arguments[hidden:])]
        work.step(named)
        check_growth(name, *plain, **named)
        return work.weighed(function(*arguments[:hidden], *plain, **named))

    return shallow if name in _SHALLOW_FILTERS else filtered


def _check_method(name: str, text: str, arguments: tuple[object, ...], named: Mapping[str, object]) -> None:
    if name == "join" and arguments:
        check_growth(name, arguments[0], text)
    elif name != "format":
        check_growth(name, text, *arguments, **named)


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise SecurityError(f"a range of {len(numbers)} numbers, the cap is {MAX_RANGE}")
    return numbers


def _parse(environment: _Environment, template: str) -> nodes.Template:
    tree = environment.parse(template)
    for node in tree.find_all(_OTHER_FILES):
        raise SourceError(
            f"the template reaches for another file in line {node.lineno}",
            hint="a prompt is one file: write the text of the other one in its place",
        )
    return tree


def _compiled(environment: _Environment, template: str) -> Template:
    with _reading():
        return environment.from_string(_Metering().visit(_parse(environment, template)))


@contextmanager
def _reading() -> Iterator[None]:
    """Turn what Jinja2 and Python say about a template that they can't read into an error of ours."""
    try:
        yield
    except TemplateSyntaxError as error:
        raise SourceError(f"the template does not parse, line {error.lineno}: {error.message}") from error
    except _UNREADABLE as error:
        raise SourceError(f"the template does not parse: {type(error).__name__}") from error
