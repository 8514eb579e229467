"""`reg doctor`: what can be wrong on this machine, checked one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click

from regalia import administration, places
from regalia.client import Client
from regalia.core import times
from regalia.core.errors import RegaliaError
from regalia_cli import output
from regalia_cli.state import State, pass_state

_SOON = timedelta(days=30)
_CLOCK = timedelta(minutes=5)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: `ok`, `warning` or `error`."""

    what: str
    state: str
    told: str
    hint: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def doctor(state: State, *, as_json: bool) -> int:
    """Check reach, token, clock, trust root, pointers near expiry, keys and folders; exit 1 where one is wrong."""
    checks = list(_checks(state.client))
    if as_json:
        output.answer_json(checks)
    else:
        for check in checks:
            mark = {"ok": "ok     ", "warning": "warning", "error": "error  "}[check.state]
            output.answer(f"{mark}  {check.what}: {check.told}")
            if check.hint and check.state != "ok":
                output.answer(f"         hint: {check.hint}")
    return 1 if any(check.state == "error" for check in checks) else 0


def _checks(client: Client) -> Iterator[Check]:
    settings = client.settings
    where = settings.project.folder
    yield Check("project", "ok" if where else "warning", str(where or "none here"), "reg init NAMESPACE/NAME")
    yield from _registry(client)
    try:
        root = client.resolver.trust.newest().root
    except RegaliaError as error:
        yield Check("trust root", "error", error.message, error.hint)
        return
    yield _expiry("trust root", f"v{root.version} of {root.trust_domain}", root.expires, "reg trust renew")
    yield from _channels(client)
    keys = client.keystore.files()
    yield Check("keys", "ok", f"{len(keys)} in {client.keystore.folder}", "")
    named = set(root.keys)
    for key in keys:
        if key.problem:
            yield Check(f"key {key.path.name}", "error", key.problem, f"chmod 600 {key.path}")
        elif not key.is_protected and key.keyid not in named:
            yield Check(
                f"key {key.path.name}", "warning", "the root does not name it", "delete it, or reg trust add-key"
            )
    folder = settings.state or places.state_folder(settings.environment, root.trust_domain)
    try:
        with client.resolver.trust.cache.locked():
            yield Check("state folder", "ok", str(folder))
    except RegaliaError as error:
        yield Check("state folder", "error", error.message, error.hint)


def _registry(client: Client) -> Iterator[Check]:
    url = client.settings.url
    try:
        caller = administration.who_am_i(client)
    except RegaliaError as error:
        yield Check("registry", "error", f"{url}: {error.message}", error.hint)
        return
    yield Check("registry", "ok", f"{url}, version {caller.server_version}")
    grants = "; ".join(f"{', '.join(grant.rights)} in {grant.namespace}" for grant in caller.grants)
    yield Check("token", "ok" if caller.grants else "error", f"{caller.name}: {grants or 'no rights'}", "reg login")
    off = abs(datetime.now(UTC) - times.parse(caller.server_time, what="the registry's time"))
    told = f"{off.total_seconds():.0f} s from the registry's"
    yield Check("clock", "ok" if off < _CLOCK else "error", told, "set this machine's clock, or the registry's")


def _channels(client: Client) -> Iterator[Check]:
    application = client.settings.project.application
    if application is None:
        return
    try:
        for channel in administration.list_channels(client, application):
            expires = times.parse(channel.pointer.expires, what="expires")
            told, hint = f"names {channel.pointer.version}", f"reg channel renew {application}:{channel.channel}"
            yield _expiry(f"channel {channel.channel}", told, expires, hint)
    except RegaliaError as error:
        yield Check("channels", "warning", error.message, error.hint)


def _expiry(what: str, told: str, expires: datetime, hint: str) -> Check:
    left = expires - datetime.now(UTC)
    state = "error" if left < timedelta() else "warning" if left < _SOON else "ok"
    return Check(what, state, f"{told}, until {expires:%Y-%m-%d}", hint)
