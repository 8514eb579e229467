"""`reg channel`: list, show, set and renew channels."""

import click

from regalia import administration, moving
from regalia.core.names import Kind, Slot
from regalia.wire.answers import PlacingEntry
from regalia_cli import output
from regalia_cli.state import State, pass_state

_SAID = {"true": True, "false": False}


@click.group()
def channel() -> None:
    """List, show, set and renew channels."""


@channel.command(name="list")
@click.argument("application", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def list_(state: State, application: str | None, *, as_json: bool) -> None:
    """List an application's channels and what they name."""
    found = list(administration.list_channels(state.client, state.application(application)))
    if as_json:
        output.answer_json(found)
        return
    rows = [
        (one.channel, one.pointer.version, one.pointer.bundle[:19], one.pointer.issued_at, one.pointer.expires)
        for one in found
    ]
    empty = "no channels: reg promote VERSION --to CHANNEL makes one"
    output.answer_table(("CHANNEL", "VERSION", "BUNDLE", "SINCE", "EXPIRES"), rows, empty=empty)


@channel.command()
@click.argument("name", metavar="APP:CHANNEL")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def show(state: State, name: str, *, as_json: bool) -> None:
    """Show a channel's pointer, verified."""
    reference = state.channel(name)
    bundle = state.client.refresh(str(reference))
    entry = administration.get_channel(state.client, reference).pointer
    if as_json:
        output.answer_json(entry)
        return
    rows = [
        ("names", f"{bundle.version}  {bundle.digest}"),
        ("provenance", f"{bundle.provenance}"),
        ("min_pointer", f"{entry.epoch}.{entry.sequence}"),
        ("moved by", f"{entry.move} {entry.reason}".strip()),
        ("issued", entry.issued_at),
        ("expires", entry.expires),
        ("fallbacks", ", ".join(digest[:19] for digest in entry.fallbacks)),
        ("on hold", "" if entry.hold is None else entry.hold.reason),
        *((one["slot"], f"{one['target']}:{one['collection']}") for one in entry.collections),
    ]
    output.answer_table(("", ""), [row for row in rows if row[1]], empty="")


@channel.command(name="set")
@click.argument("name", metavar="APP:CHANNEL")
@click.option(
    "--snapshot",
    "snapshots",
    multiple=True,
    metavar="NAME=TARGET[,mode=frozen|live][,standby=true][,alias=NAME][,logical=NAME]",
    help="Where a snapshot of the bundle is placed; all that the channel shall place, each once.",
)
@click.option(
    "--require-warm",
    type=click.Choice(["0", "1"]),
    help="1: refuse a promotion that would leave no bundle which could be restored at once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def set_(state: State, name: str, snapshots: tuple[str, ...], require_warm: str | None, *, as_json: bool) -> None:
    """Say where a channel places its bundles' snapshots, from its next move on; without options, show it.

    A frozen collection is written by nobody; a live one by the application, so that it is no way back to what was
    released: standby=true keeps a sealed copy beside it. An alias is a name in the database that always leads to the
    current one. Each option replaces what it set before, and leaves the rest.
    """
    reference = state.channel(name)
    if snapshots or require_warm is not None:
        placings = [_placing(text) for text in snapshots] or None
        demanded = None if require_warm is None else require_warm == "1"
        found = administration.put_placings(state.client, reference, placings, require_warm=demanded)
    else:
        found = administration.get_placings(state.client, reference)
    if as_json:
        output.answer_json(found)
        return
    if found.require_warm:
        output.tell(f"{reference} demands a warm way back of every promotion")
    rows = [(one.slot, one.target, one.logical, _told(one), one.alias) for one in found.placings]
    empty = f"{reference} places nothing: reg channel set {reference} --snapshot NAME=TARGET"
    output.answer_table(("SLOT", "TARGET", "LOGICAL", "MODE", "ALIAS"), rows, empty=empty)


def _placing(text: str) -> PlacingEntry:
    """Read `kb=local,mode=frozen,alias=kb`."""
    first, *more = text.split(",")
    name, _, target = first.partition("=")
    options = dict(one.partition("=")[::2] for one in more)
    unknown = sorted(options.keys() - {"mode", "standby", "alias", "logical"})
    if not target or unknown:
        told = f"knows no {', '.join(unknown)}" if unknown else "names no target"
        raise click.UsageError(f"--snapshot {text} {told}: write NAME=TARGET,mode=frozen,alias=NAME")
    standby = options.get("standby", "false")
    if standby not in _SAID:
        raise click.UsageError(f"--snapshot {text} says standby={standby}: write standby=true, or leave it out")
    slot = Slot(Kind.SNAPSHOT, name.removeprefix("snapshots/"))
    logical = options.get("logical", slot.name.replace("-", "_").replace(".", "_"))
    mode = options.get("mode", "frozen")
    return PlacingEntry(str(slot), target, logical, mode, options.get("alias"), _SAID[standby])


def _told(placing: PlacingEntry) -> str:
    return f"{placing.mode}, with a standby copy" if placing.standby else placing.mode


@channel.command()
@click.argument("name", metavar="APP:CHANNEL")
@pass_state
def renew(state: State, name: str) -> None:
    """Sign a younger pointer to the same bundle."""
    reference = state.channel(name)
    plan = moving.plan_renew(state.client, reference)
    moved = moving.execute(state.client, plan, moving.channel_signer(state.client, reference))
    output.answer(f"{reference} names {moved.pointer.version} until {moved.pointer.expires}")
