"""`reg operation`: what the worker does."""

from typing import Any

import click

from regalia import operations, snapshotting
from regalia.wire.answers import OperationEntry
from regalia_cli import output, progress
from regalia_cli.state import State, pass_state


@click.group()
def operation() -> None:
    """List, watch and cancel the work of the worker."""


@operation.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def list_(state: State, *, as_json: bool) -> None:
    """List operations of the project's namespace, newest first."""
    found = list(operations.list_operations(state.client, state.application().namespace))
    if as_json:
        output.answer_json(found)
        return
    rows = [(one.id, one.kind, one.subject, one.state, one.created_at) for one in found]
    output.answer_table(("ID", "KIND", "OF", "STATE", "ASKED"), rows, empty="no operations")


@operation.command()
@click.argument("operation_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def show(state: State, operation_id: str, *, as_json: bool) -> None:
    """Show an operation and what happened in it."""
    found = operations.get_operation(state.client, state.application().namespace, operation_id)
    if as_json:
        output.answer_json(found)
        return
    output.answer(f"{found.operation.id}  {found.operation.kind} of {found.operation.subject}: {found.operation.state}")
    for event in found.events:
        output.answer(f"  {event.time}  {progress.told(event.body)}")


@operation.command()
@click.argument("operation_id", metavar="ID")
@pass_state
def watch(state: State, operation_id: str) -> None:
    """Follow an operation until it is over; Ctrl-C leaves it at work."""
    namespace = state.application().namespace
    found = finished(state, operations.get_operation(state.client, namespace, operation_id).operation)
    if found.state == "prepared":
        output.tell("it waits for its signature: say the same reg promote, restore or target adopt again")


@operation.command()
@click.argument("operation_id", metavar="ID")
@pass_state
def cancel(state: State, operation_id: str) -> None:
    """Ask an operation to end at its next step."""
    found = operations.cancel(state.client, state.application().namespace, operation_id)
    output.answer(f"{found.id}  {'cancelled' if found.state == 'cancelled' else 'ends at its next step'}")


def finished(state: State, asked: OperationEntry) -> OperationEntry:
    """Follow an operation and tell its progress; gives it once it is over.

    Raises:
        RegaliaError: It failed or was cancelled.
    """
    with progress.shown() as tell:
        return snapshotting.finish(state.client, asked.namespace, asked, tell)


def looked(state: State, asked: OperationEntry) -> dict[str, Any]:
    """Wait for a look, which is short, and give what it saw."""
    return dict(snapshotting.finish(state.client, asked.namespace, asked, lambda _: None).outcome or {})
