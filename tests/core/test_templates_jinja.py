"""Jinja2 prompts: rendered as their authors know it, in a sandbox that no template leaves or exhausts."""

import subprocess
import sys
from contextlib import suppress
from itertools import pairwise
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core import templates
from regalia.core.errors import RenderError, SourceError

VALUES: dict[str, object] = {"x": "{{ x }}", "xs": [1, 2, 3], "empty": {}, "d": {"k": "v", "a": {"b": 1}}}


def render(template: str, **values: object) -> str:
    return templates.render("jinja2", template, values or VALUES)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ x }}\n", "{{ x }}\n"),
        ("{% for i in xs %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}", "1,2,3"),
        ("{% for i in xs %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/3 2/3 3/3 "),
        ("{% for k, v in d.items() if k == 'k' %}{{ k }}={{ v }}{% endfor %}", "k=v"),
        ("{% for i in [1, [2, [3]]] recursive %}{{ loop(i) if i is iterable else i }}{% endfor %}", "123"),
        ("{{ xs|map('string')|join('+') }}={{ xs|sum }}", "1+2+3=6"),
        ("{{ xs|select('gt', 1)|list }} {{ xs[1:] }} {{ xs|batch(2)|list }}", "[2, 3] [2, 3] [[1, 2], [3]]"),
        ("{{ 'a' ~ 1 ~ 'b' }}{{ 'ab'.upper() }}{{ 'a-b'.replace('-', '+') }}", "a1bABa+b"),
        ("{{ '%.2f'|format(1) }} {{ '%s' % 2 }} {{ '{}-{a}'.format(1, a=2) }}", "1.00 2 1-2"),
        ("{{ d.a.b }} {{ d['a']['b'] }} {{ d.get('z', 'none') }} {{ d|tojson }}", '1 1 none {"a": {"b": 1}, "k": "v"}'),
        ("{% set n = namespace(i=0) %}{% for i in xs %}{% set n.i = n.i + i %}{% endfor %}{{ n.i }}", "6"),
        ("{% macro m(a) %}<{{ a }}{{ caller() }}>{% endmacro %}{% call m(1) %}!{% endcall %}", "<1!>"),
        ("{% set t %}a{{ xs[0] }}{% endset %}{% filter upper %}{{ t }}{% endfilter %}", "A1"),
        ("{% with a = 1 %}{{ a }}{% endwith %}{% block b %}b{% endblock %}{# note #}", "1b"),
        ("{% raw %}{{ x }}{% endraw %}{{ missing|default('d') }}{{ missing is defined }}", "{{ x }}dFalse"),
        ('{"a": {"b": [{}]}}', '{"a": {"b": [{}]}}'),
        ("{% for i in xs %}{{ loop is defined }}{% endfor %}", "TrueTrueTrue"),
        (
            "{{ '**{}** in 2026'.format(1) }} {{ '%d%% of **2026** {\"a\": 20260101}' % 5 }}",
            '**1** in 2026 5% of **2026** {"a": 20260101}',
        ),
        (
            "{{ xs|reverse|list }}{{ xs|map('string')|first }}{{ [3, 1]|sort }}{{ xs is in([xs]) }}",
            "[3, 2, 1]1[1, 3]True",
        ),
        ("{{ range(3)|list }}{{ 2 ** 10 }}{{ -7 // 2 }}{{ 7 % 4 }}{{ '-' * 3 }}", "[0, 1, 2]1024-43---"),
        (
            "{{ 'long words here'|wordwrap(5) }}|{{ 'a\nb'|indent(2) }}|{{ 'ab'|center(4) }}",
            "long\nwords\nhere|a\n  b| ab ",
        ),
    ],
)
def test_it_reads_as_jinja2_does(template: str, expected: str) -> None:
    assert render(template) == expected


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_value_is_inserted_as_it_is(value: str) -> None:
    assert render("<{{ x }}|{{ x }}>", x=value) == f"<{value}|{value}>"


@given(st.text(st.sampled_from("{}%#-+xy .|'\n()[]~*"), max_size=40))
def test_any_text_renders_or_is_refused(template: str) -> None:
    with suppress(RenderError):
        assert isinstance(templates.render("jinja2", template, {"x": 1, "y": "y"}), str)


def test_names_are_listed_in_order_of_first_use() -> None:
    template = (
        "{% for m in messages %}{{ m.role }}{{ b }}{% endfor %}{% set c = 1 %}{{ c }}{{ a.z }}{{ range(2) }}{{ b }}"
    )

    assert templates.variables_of("jinja2", template) == ("messages", "b", "a")


@pytest.mark.parametrize("template", ["{{ name }}", "{% if name %}{% endif %}", "{% for i in name %}{% endfor %}"])
def test_a_missing_variable_is_named(template: str) -> None:
    with pytest.raises(RenderError, match="'name'"):
        render(template, x=1)


@pytest.mark.parametrize("value", [object(), b"x", [object()], {"k": [print]}, 1j, {1}])
def test_a_value_that_has_methods_of_its_own_is_refused(value: object) -> None:
    with pytest.raises(RenderError, match='"x" holds a'):
        render("{{ 1 }}", x=value)


def test_a_list_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop += [loop, loop]

    with pytest.raises(RenderError):
        render("{{ x }}", x=loop)


@pytest.mark.parametrize(
    "template", ["{% if %}", "{{ x", "{% endfor %}", "{{ x|nothing }}", "{{ x is nothing }}", "{% zzz %}"]
)
def test_broken_syntax_is_refused_with_its_line(template: str) -> None:
    with pytest.raises(SourceError, match="line 2"):
        templates.check("jinja2", f"\n{template}")


@pytest.mark.parametrize(
    "template",
    [
        "{% include 'a' %}",
        "{% include x ignore missing %}",
        "{% import 'a' as b %}",
        "{% from 'a' import b %}",
        "{% extends 'a' %}",
        "{% if false %}{% include 'a' %}{% endif %}",
    ],
)
def test_another_file_is_refused(template: str) -> None:
    with pytest.raises(SourceError, match="another file"):
        templates.check("jinja2", template)
    with pytest.raises(RenderError, match="another file"):
        render(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ x|attr('__class__') }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ '{a.__init__}'.format_map({'a': x}) }}",
        "{{ x.format.__globals__ }}",
        "{{ x.upper.__self__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ namespace.__init__ }}",
        "{{ self.__init__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ range.__globals__ }}",
        "{% macro m() %}{% endmacro %}{{ m.__call__ }}",
        "{{ loop.__class__ }}",
        "{{ (x for x in xs) }}",
        "{{ xs.append(4) }}",
        "{{ d.update({}) }}",
        "{{ d.pop('k') }}",
        "{{ lipsum() }}",
        "{{ x|random }}",
    ],
)
def test_no_way_leads_out_of_the_sandbox(template: str) -> None:
    with pytest.raises(RenderError):
        render(template)


REPEATED = "{%% set n = namespace(a='x' * 1000, b=[1]) %%}{%% for i in range(60) %%}%s{%% endfor %%}"
DOUBLING = "".join(
    f"{{% macro {later}() %}}{{{{ {earlier}() ~ {earlier}() }}}}{{% endmacro %}}"
    for earlier, later in pairwise(ascii_lowercase)
)
NESTED = "{% for i in range(10000) %}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ 10 ** 99999 }}",
        "{{ 2 ** (10 ** 9) }}",
        REPEATED % "{% set n.a = 9 ** 900 * 9 ** 900 %}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ (10 ** 9) * 'a' }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ range(10 ** 9) }}",
        "{{ range(-(10 ** 9), 0) }}",
        "{{ 'x'.center(10 ** 9) }}",
        "{{ ('x'|safe).ljust(10 ** 9) }}",
        "{{ 'x'|center(width=10 ** 9) }}",
        "{{ 'x'|indent(10 ** 9) }}",
        "{{ [1]|batch(linecount=10 ** 9, fill_with='x')|list }}",
        "{{ [1]|slice(slices=10 ** 9)|list }}",
        "{{ 1|round(10 ** 9, 'ceil') }}",
        "{{ [1]|tojson(indent=10 ** 9) }}",
        "{{ 'x'.zfill(10 ** 9) }}",
        "{{ '\\t'.expandtabs(10 ** 9) }}",
        "{{ (1).to_bytes(10 ** 9, 'big') }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (10 ** 9, 1) }}",
        "{{ '%.1000000000f' % 1 }}",
        "{{ '%-01000000000d' % 1 }}",
        "{{ '%(a)1000000000d' % {'a': 1} }}",
        "{{ '%(a(b)c)1000000000d' % {'a(b)c': 1} }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
        "{{ ([9 ** 900] * 500000)|string|length }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=10 ** 9) }}",
        "{{ ('a' * 4000000)|wordwrap(1) }}",
        "{{ [[1]]|sum(start=[]) }}",
        "{{ ['x' * 9999] * 9999 }}",
        "{{ 'x'|replace('', 'y' * 4000000)|replace('', 'y' * 4000000) }}",
        REPEATED % "{% set n.a = n.a ~ n.a %}",
        REPEATED % "{% set n.a = n.a + n.a %}",
        REPEATED % "{% set n.a %}{{ n.a }}{{ n.a }}{% endset %}",
        REPEATED % "{% set n.a = n.a.replace('x', 'xx') %}",
        REPEATED % "{% set n.a = n.a.join([n.a, n.a, n.a]) %}",
        REPEATED % "{% set n.a = [n.a, n.a]|join %}",
        REPEATED % "{% set n.a = '%s%s'|format(n.a, n.a) %}",
        REPEATED % "{% set n.a = '{0}{0}'.format(n.a) %}",
        REPEATED % "{% set n.b = [n.b, n.b] %}",
        REPEATED % "{% set n.b = (n.b, n.b) %}",
        REPEATED % "{% set n.b = {1: n.b, 2: n.b} %}",
        REPEATED % "{% set n.b = dict(a=n.b, b=n.b) %}",
        NESTED * 3 + "{% endfor %}" * 3,
        NESTED + "{{ 'a' * 100000 }}{% endfor %}",
        NESTED + "{% set a %}" + "x" * 100_000 + "{% endset %}{% endfor %}",
        "{% set l = range(10000)|list %}" + NESTED + "{% if l == l and 'x' in l %}{% endif %}{% endfor %}",
        "{% set l = range(10000)|list %}" + NESTED + "{% if l.count('x') %}{% endif %}{% endfor %}",
        "{% set d = dict(xs=range(10000)|list) %}" + NESTED + "{% if 'x' in d.values() %}{% endif %}{% endfor %}",
        "{{ ('<!---->' * 500000)|striptags }}",
        "{{ (('<!---->' * 500000)|safe).striptags() }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}x{% endmacro %}" + DOUBLING + "{{ z() }}",
        "{{ " + "(" * 3000 + ")" * 3000 + " }}",
        "{{ " + "[" * 3000 + "]" * 3000 + " }}",
        "{{ 1" + " + 1" * 20_000 + " }}",
        "{% if x %}" * 300 + "{% endif %}" * 300,
        "{{ 1 / 0 }}",
        "{{ 'x' + 1 }}",
        "{{ xs|map|list }}",
    ],
    ids=lambda template: template[:40],
)
def test_work_without_end_is_refused(template: str) -> None:
    with pytest.raises(RenderError):
        render(template)


def test_a_long_history_of_messages_renders() -> None:
    history = [{"role": "user" if place % 2 else "assistant", "content": "x" * 5000} for place in range(400)]
    template = (
        "{% for m in messages if m.content is string and m.content != '' %}"
        "{% if loop.index0 == messages|length - 1 %}last: {% endif %}"
        "{{ m.role|upper }}: {{ m.content|trim }}\n{% endfor %}"
    )

    rendered = render(template, messages=history)

    assert len(rendered) > 2_000_000


def test_a_deep_template_is_refused_when_its_names_are_asked_for() -> None:
    with pytest.raises(SourceError):
        templates.variables_of("jinja2", "{{ 1" + " + 1" * 20_000 + " }}")


def test_single_braces_are_warned_of() -> None:
    [warning] = templates.warnings_of("jinja2", 'Hello {name}, {{ x }}, {"a": 1}')

    assert '"{name}"' in warning


def test_no_other_engine_loads_jinja2() -> None:
    script = (
        "import sys; from regalia.core import templates\n"
        "for format in ('none', 'fstring', 'curly'): templates.render(format, '{x} {{x}}', {'x': 1})\n"
        "print('jinja2' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout.strip() == b"False"


def test_without_jinja2_the_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from regalia.core import errors, templates\n"
        "try: templates.check('jinja2', '')\n"
        "except errors.ConfigurationError as error: print(error.hint)"
    )

    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout

    assert found.strip() == "pip install 'regalia[jinja2]'"
