"""What `reg promote` and `reg restore` share: the plan that a person sees, and carrying it out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import click
from click.exceptions import Exit

from regalia import moving, operations
from regalia.core.errors import RegaliaError
from regalia.core.statements import ChannelPointer
from regalia.core.values import replace
from regalia.showing import require_covered, shown_of
from regalia.wire.answers import OperationEntry
from regalia_cli import output, progress
from regalia_cli.commands import arriving
from regalia_cli.state import State

Command = TypeVar("Command", bound=Callable[..., object])

NOT_ALL_FOLLOWED = 3  # the exit status: 1 would say that nothing has moved

_WAIT_S = 60
_NOTHING: Mapping[str, object] = {"deployment": None}  # what an answer says of a move that was not made


@dataclass(frozen=True)
class Ways:
    """How a move is to be carried out; `wait_s` waits that long for the agents that follow."""

    dry_run: bool = False
    unplaced: bool = False
    as_json: bool = False
    supersede: bool = False
    seal_first: bool = False
    wait_s: float | None = None


def wait_option(command: Command) -> Command:
    """Give a command `--wait`."""
    return click.option(
        "--wait",
        "wait_s",
        is_flag=False,
        flag_value=_WAIT_S,
        type=click.FloatRange(min=0),
        metavar="[SECONDS]",
        help=f"Wait until the agents that follow have arrived, {_WAIT_S} s unless another time is given; else exit 3.",
    )(command)


def show_plan(plan: moving.MovePlan) -> None:
    """Show what a move changes."""
    is_first = plan.pointer.previous is None
    before = plan.current.version if plan.current is not None else "nothing" if is_first else "a bundle not trusted"
    output.tell(f"{plan.channel}: {before} → {plan.target.version}")
    if plan.replaces_lost:
        output.tell("  its pointer was signed by a key that has left the trust root; this one replaces it")
    elif is_first:
        output.tell("  the channel is made by this")
    output.tell_changes(plan.changes)


def show_steps(state: State, plan: moving.MovePlan, ways: Ways) -> moving.MovePlan:
    """Show which collections are there and which are made, in how long; gives the plan that may be signed then.

    Raises:
        RegaliaError: The move could not be carried out as a whole.
    """
    if not plan.needs_worker or ways.unplaced:
        return plan
    found = moving.preview(state.client, plan, lambda _: None)
    steps = found.get("steps")
    for step in steps if isinstance(steps, list) else []:
        output.tell(f"  {_spelled(step)}")
    shown = shown_of(found)
    require_covered(shown, plan.snapshots)
    return replace(plan, shown=shown)


def carry_out(state: State, plan: moving.MovePlan, ways: Ways) -> None:
    """Let the collections be made, sign and send the pointer, and say what became of it.

    Raises:
        Exit: It names the bundle, and not all that were waited for are known to have followed.
    """
    began, word, is_kept = time.monotonic(), "unchanged", plan.is_unchanged
    more = _NOTHING
    if plan.needs_worker and not (ways.unplaced or ways.dry_run):
        with progress.shown() as tell:
            plan = moving.prepare(state.client, plan, tell, supersede=ways.supersede, seal_first=ways.seal_first)
    named = plan.pointer
    for place in named.collections:
        output.tell(f"  {place.slot}: {place.target}:{place.collection}")
    if plan.is_as_released:
        is_kept = True
        operations.cancel(state.client, plan.channel.application.namespace, str(plan.operation))
        output.tell("  its collections are what was released: nothing was written to them")
    if not is_kept and ways.dry_run:
        word = "would be moved"
    elif not is_kept:
        word, more = "moved", _move(state, plan, ways, began=began)
    elif plan.standing is not None:
        named, more = plan.standing, _stay(state, plan, plan.standing, ways)
    _answer(plan, ways, word, named, more)
    if "fleet" in more and not arriving.is_whole(more["fleet"]):
        output.tell(f"  {word}, and not all have followed in time: reg agents {plan.channel} tells when they have")
        raise Exit(NOT_ALL_FOLLOWED)


def _stay(state: State, plan: moving.MovePlan, standing: ChannelPointer, ways: Ways) -> Mapping[str, object]:
    """Wait for the agents of a channel that names the bundle already, as a pipeline that is run again asks."""
    if ways.wait_s is None or ways.dry_run:
        return _NOTHING
    awaited, arrived = arriving.seen(state, plan), None
    try:
        if awaited is not None:
            pointer = standing.epoch, standing.sequence
            arrived = arriving.wait(state, plan.channel, pointer, awaited, ways.wait_s)
    except RegaliaError as error:
        output.tell(f"  unchanged; who has followed is not known: {error.message}")
    return {**_NOTHING, "fleet": arrived}


def _move(state: State, plan: moving.MovePlan, ways: Ways, *, began: float) -> Mapping[str, object]:
    """Sign and send the pointer, and tell what comes of it; gives what the answer says of it.

    `fleet` is there where it was waited for, and None where nothing is known of it.
    """
    awaited = None if ways.wait_s is None else arriving.seen(state, plan)
    signer = moving.channel_signer(state.client, plan.channel)
    moved = moving.execute(state.client, plan, signer, unplaced=ways.unplaced)
    if plan.hold and plan.current is not None:
        output.tell(f"{plan.channel.application}@{plan.current.version} is on hold: {plan.facts.reason}")
    arrived = None
    try:
        with progress.shown() as tell:
            show_settled(moving.settled(state.client, plan, tell))
        output.tell(f"  done in {time.monotonic() - began:.1f} s")
        if ways.wait_s is not None and awaited is not None:
            pointer = moved.pointer.epoch, moved.pointer.sequence
            arrived = arriving.wait(state, plan.channel, pointer, awaited, ways.wait_s)
    except RegaliaError as error:  # the channel has moved: that is the answer
        output.tell(f"  moved; how far the rest is, is not known: {error.message}")
    told: Mapping[str, object] = {"sequence": moved.pointer.sequence, "deployment": moved.deployment}
    return told if ways.wait_s is None else {**told, "fleet": arrived}


def _answer(
    plan: moving.MovePlan, ways: Ways, word: str, named: ChannelPointer, more: Mapping[str, object]
) -> None:  # `named` is what the channel has then
    if ways.as_json:
        answered = {"channel": str(plan.channel), "version": plan.target.version, "digest": plan.target.digest}
        told = {"state": word, "sequence": named.sequence, **more}
        places = {"collections": [place.written() for place in named.collections]}
        output.answer_json({**answered, **told, **places, "changes": output.changes_as_rows(plan.changes)})
        return
    output.answer(f"{plan.channel} names {plan.target.version}  {word}  {plan.target.digest[:19]}")


def show_settled(done: OperationEntry | None) -> None:
    """Say where the aliases lead, what was written to the collections that the channel left, and where that is kept."""
    outcome = (done.outcome or {}) if done is not None else {}
    aliases, leftovers = outcome.get("aliases"), outcome.get("leftovers")
    for one in aliases if isinstance(aliases, list) else []:
        output.tell(f"  alias {one['alias']} leads to {one['collection']}, set in {one['seconds'] * 1000:.0f} ms")
    for one in leftovers if isinstance(leftovers, list) else []:
        if "lost" in one:
            output.tell(f"  what was written to {one['collection']} is lost: {one['lost']}")
        elif "unkept" in one:
            output.tell(f"  {one['collection']} stays, sealed, with what was written to it: {one['unkept']}")
        elif one["snapshot"] is None:
            output.tell(f"  nothing was written to {one['collection']} since it was released")
        else:
            told = f"{one['written']:,} rows were written to {one['collection']} and {one['removed']:,} removed"
            output.tell(f"  {told}: kept as {one['snapshot']}")


def _spelled(step: Mapping[str, object]) -> str:
    """Put a step into words: what is there, or what is made, and in how long."""
    where = f"{step.get('slot')} on {step.get('target')}"
    rows = f"{step.get('rows'):,} rows" if isinstance(step.get("rows"), int) else ""
    if step.get("action") == "reuse":
        return f"{where}: {step.get('collection')} is there, sealed and proved ({rows})"
    seconds = step.get("seconds")
    told = f"about {seconds} s" if isinstance(seconds, int) else "nothing was made there yet, so nobody knows how long"
    return f"{where}: {rows} of {step.get('snapshot')} are loaded, indexed and proved: {told}"
