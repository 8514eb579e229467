"""`reg status`: how an application's channels stand."""

from datetime import UTC, datetime, timedelta

import click

from regalia import administration, fleet
from regalia.core import times
from regalia.core.errors import NotFoundError, RegaliaError
from regalia.core.references import BundleReference
from regalia.wire.answers import PointerEntry, ReadinessEntry
from regalia_cli import output
from regalia_cli.state import State, pass_state

_STEPS = (3, 14, 30)


@click.command()
@click.argument("application", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def status(state: State, application: str | None, *, as_json: bool) -> None:
    """Say what each channel names, how fast it could go back, whether that is on hold, and what expires soon.

    A channel goes back to the newest bundle that it named before and that is not on hold: warm, where its collections
    are there; cold, where they are made first.
    """
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
        way_back = ReadinessEntry(channel.channel)
        try:
            way_back = fleet.get_readiness(state.client, BundleReference(name, channel=channel.channel))
        except RegaliaError as error:
            warnings.append(f"no way back: {error.message}")
        found.append((channel, verified, way_back, [*warnings, *_warnings(channel.pointer)]))
    if as_json:
        output.answer_json(
            [
                {
                    "channel": one.channel,
                    "pointer": one.pointer,
                    "verified": word,
                    "restore": way_back,
                    "warnings": told,
                }
                for one, word, way_back, told in found
            ]
        )
        return
    rows = [
        (
            one.channel,
            one.pointer.version,
            word or "NOT VERIFIED",
            one.pointer.issued_at,
            _spelled(way_back),
            "; ".join(told),
        )
        for one, word, way_back, told in found
    ]
    empty = "no channels: reg promote VERSION --to CHANNEL makes one"
    output.answer_table(("CHANNEL", "VERSION", "VERIFIED", "SINCE", "RESTORE", "WARNINGS"), rows, empty=empty)


def _spelled(way_back: ReadinessEntry) -> str:
    """Put into words how fast a channel could go back."""
    if way_back.version is None:
        return ""
    told = way_back.state
    if way_back.state == "cold":
        told = "cold" if way_back.seconds is None else f"cold, about {way_back.seconds} s"
    if way_back.unplaced:
        told = f"unplaced: {', '.join(way_back.unplaced)}"
    return f"{way_back.version} {told}"


def _warnings(pointer: PointerEntry) -> list[str]:
    found = [] if pointer.hold is None else [f"on hold: {pointer.hold.reason}"]
    left = times.parse(pointer.expires, what="expires") - datetime.now(UTC)
    for days in _STEPS:
        if left < timedelta(days=days):
            return [*found, f"expires {pointer.expires}: reg channel renew"]
    return found
