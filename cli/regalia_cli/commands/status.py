"""`reg status`: how an application's channels stand."""

from datetime import UTC, datetime, timedelta

import click

from regalia import administration
from regalia.core import times
from regalia.core.errors import NotFoundError, RegaliaError
from regalia.wire.answers import PointerEntry
from regalia_cli import output
from regalia_cli.state import State, pass_state

_STEPS = (3, 14, 30)


@click.command()
@click.argument("application", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def status(state: State, application: str | None, *, as_json: bool) -> None:
    """Say what each channel names, whether that is on hold, and what expires soon."""
    name = state.application(application)
    found = []
    for channel in administration.list_channels(state.client, name):
        verified, problem = "", ""
        try:
            verified = str(state.client.refresh(f"{name}:{channel.channel}").provenance)
        except NotFoundError:
            raise
        except RegaliaError as error:
            problem = error.message
        warnings = [problem] if problem else []
        found.append((channel, verified, [*warnings, *_warnings(channel.pointer)]))
    if as_json:
        output.answer_json(
            [
                {"channel": one.channel, "pointer": one.pointer, "verified": word, "warnings": told}
                for one, word, told in found
            ]
        )
        return
    rows = [
        (one.channel, one.pointer.version, word or "NOT VERIFIED", one.pointer.issued_at, "; ".join(told))
        for one, word, told in found
    ]
    empty = "no channels: reg promote VERSION --to CHANNEL makes one"
    output.answer_table(("CHANNEL", "VERSION", "VERIFIED", "SINCE", "WARNINGS"), rows, empty=empty)


def _warnings(pointer: PointerEntry) -> list[str]:
    found = [] if pointer.hold is None else [f"on hold: {pointer.hold.reason}"]
    left = times.parse(pointer.expires, what="expires") - datetime.now(UTC)
    for days in _STEPS:
        if left < timedelta(days=days):
            return [*found, f"expires {pointer.expires}: reg channel renew"]
    return found
