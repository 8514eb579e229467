"""`reg target`: named connections to vector engines."""

import click

from regalia import adopting, moving, operations
from regalia.core.errors import InvalidNameError
from regalia.core.names import Kind, Slot
from regalia.wire.answers import TargetEntry
from regalia_cli import output, progress
from regalia_cli.commands.carrying import Ways, carry_out, show_plan
from regalia_cli.commands.confirming import confirm
from regalia_cli.commands.operation import looked
from regalia_cli.state import State, pass_state

_KEY = "their password is in {} on the registry's machine"
_SOCKET = "only the user that runs reg serve opens this socket; set local_port for others"
_MB = 1_000_000
_ROOM = (("size_bytes", "there"), ("free_bytes", "free"))


@click.group()
def target() -> None:
    """Name, list and remove connections to vector engines, and adopt what is in use there.

    `local` is the embedded PostgreSQL.
    """


@target.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--provider",
    default="pgvector",
    show_default=True,
    help="Which engine answers there: pgvector, weaviate, or files.",
)
@click.option(
    "--credential",
    help="Where its password is, as the worker sees it: env:NAME, file:PATH or aws-secretsmanager:ID[#KEY].",
)
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    help="Who may use it; again for more, '*' for all. [default: the project's namespace]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def add(
    state: State,
    name: str,
    url: str,
    provider: str,
    credential: str | None,
    namespaces: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Add a target. The URL of its engine holds no password."""
    given = namespaces or _own_namespace(state)
    made = operations.add_target(state.client, TargetEntry(name, provider, url, credential, given))
    output.answer_json(made) if as_json else output.answer(f"{made.name}  added  {_told(made)}")


@target.command()
@click.argument("name")
@click.option("--namespace", "namespaces", multiple=True, required=True, help="Who may; again for more, '*' for all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def assign(state: State, name: str, namespaces: tuple[str, ...], *, as_json: bool) -> None:
    """Say which namespaces may use a target. Those that might before may no longer."""
    made = operations.assign_target(state.client, name, namespaces)
    output.answer_json(made) if as_json else output.answer(f"{made.name}  assigned  {_told(made)}")


@target.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def list_(state: State, *, as_json: bool) -> None:
    """List the targets that your namespaces may use."""
    found = list(operations.list_targets(state.client))
    if as_json:
        output.answer_json(found)
        return
    rows = [(one.name, one.provider, one.url, " ".join(one.namespaces), one.credential or "") for one in found]
    output.answer_table(("NAME", "PROVIDER", "URL", "FOR", "CREDENTIAL"), rows, empty="no targets")


@target.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def show(state: State, name: str, *, as_json: bool) -> None:
    """Show a target, and how agents reach it."""
    found = operations.get_target(state.client, name)
    if as_json:
        output.answer_json(found)
        return
    output.answer(f"{found.name}  {_told(found)}")
    if found.agents_url is not None:
        output.answer(f"  agents connect to {found.agents_url}")
        output.answer(f"  {_KEY.format(found.agents_password_file) if found.agents_password_file else _SOCKET}")


@target.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def check(state: State, name: str, *, as_json: bool) -> None:
    """Look whether a target answers. The worker says its versions, what it may do, and what should be changed."""
    found = looked(state, operations.start_look(state.client, state.application().namespace, name, what="check"))
    if as_json:
        output.answer_json(found)
        return
    output.answer(f"{found['target']}  {found['version']}")
    output.answer(f"  may {', '.join(found['rights']) or 'nothing'}; {'has' if found['aliases'] else 'has no'} aliases")
    room = [f"{found[what] / _MB:,.0f} MB {word}" for what, word in _ROOM if found[what] is not None]
    if room:
        output.answer(f"  {', '.join(room)}")
    for warning in found["warnings"]:
        output.answer(f"  {warning}")


@target.command()
@click.argument("name")
@pass_state
def remove(state: State, name: str) -> None:
    """Remove a target. What it points at stays as it is."""
    operations.remove_target(state.client, name)
    output.answer(f"{name}  removed")


def _own_namespace(state: State) -> tuple[str]:
    project = state.client.settings.project.application
    if project is None:
        raise InvalidNameError("no project is here", hint="say who may use the target: --namespace acme")
    return (project.namespace,)


def _told(found: TargetEntry) -> str:
    credential = f"  credential: {found.credential}" if found.credential else ""
    address = "" if found.url == f"{found.provider}:" else f" {found.url}"  # the embedded one has none
    return f"{found.provider}{address}  for: {' '.join(found.namespaces) or 'nobody'}{credential}"


@target.command()
@click.argument("name", metavar="TARGET")
@click.argument("collection")
@click.option("--for", "channel", required=True, metavar="APP:CHANNEL", help="The channel that will serve it.")
@click.option("--slot", required=True, metavar="NAME", help="Its bundle's snapshot of this collection: kb.")
@click.option("--reason", required=True, help="Why; signed for ever, so a ticket rather than names.")
@click.option("--dry-run", is_flag=True, help="Say what it means for its applications; change nothing.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@pass_state
def adopt(
    state: State, name: str, collection: str, channel: str, slot: str, reason: str, *, dry_run: bool, yes: bool
) -> None:  # an option each
    """Let a channel serve a COLLECTION that an application made and writes into, as its live one.

    It keeps its rows, indexes and readers. In PostgreSQL it moves into a schema of its own, and a view takes its
    name; what an application can't do through a view is told first.
    """
    plan = adopting.plan_adoption(state.client, state.channel(channel), moving.Facts(reason))
    adopted = adopting.Adopted(Slot(Kind.SNAPSHOT, slot.removeprefix("snapshots/")), name, collection)
    show_plan(plan)
    for told in adopting.consequences(state.client, plan, adopted, lambda _: None):
        output.tell(f"  {told}")
    if dry_run:
        return
    confirm("Adopt it?", yes=yes)
    with progress.shown() as tell:
        plan = adopting.adopt(state.client, plan, adopted, tell)
    carry_out(state, plan, Ways())
