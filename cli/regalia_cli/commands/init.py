"""`reg init`: found a registry for an application, or join one."""

from datetime import UTC, datetime
from pathlib import Path

import click

from regalia import founding, places, project
from regalia._transport.routes import Origin, is_loopback
from regalia.client import Client
from regalia.core.errors import ConflictError
from regalia.core.names import ApplicationName
from regalia.places import DEFAULT_URL, PROJECT_FILE, PROJECT_ROOT_FILE, find_upwards
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("application")
@click.option("--registry", help=f"Where the registry is; default {DEFAULT_URL}.")
@click.option("--trust-root", help="To join a registry elsewhere: its root as FILE or sha256:…, from who keeps it.")
@click.option("--new-domain", is_flag=True, help="Found another trust domain, after the root key was lost.")
@pass_state
def init(state: State, application: str, registry: str | None, trust_root: str | None, *, new_domain: bool) -> None:
    """Found a registry for APPLICATION (NAMESPACE/NAME) in this folder, or join the one that is there.

    Writes regalia.yaml and regalia.root.json: both are public, commit both. Where no registry is yet, it also makes
    this machine's keys and an admin token.
    """
    name = ApplicationName.parse(application)
    there = find_upwards(state.folder, PROJECT_FILE)
    if there is not None and not new_domain:
        raise ConflictError(f'"{there}" is here already', hint="nothing was written; go on with reg push")
    url = (registry or state.url or state.environment.get("REGALIA_URL") or DEFAULT_URL).rstrip("/")
    founded = _found(state, name, url, trust_root, new_domain=new_domain)
    folder = state.folder if there is None else there.parent
    places.write_whole(folder / PROJECT_ROOT_FILE, founded.root.envelope)
    written = [PROJECT_ROOT_FILE]
    if there is None:
        entries = project.recognise(folder)
        shown = None if url == DEFAULT_URL else url
        places.write_whole(folder / PROJECT_FILE, project.write(name, shown, entries).encode())
        written.insert(0, PROJECT_FILE)
    output.tell(f"wrote {', '.join(written)}: public, commit both")
    for line in founded.lines:
        output.tell(f"{line.told}: {line.meaning}")
    root = founded.root.root
    if not founded.joined:
        output.tell(f"signed root v1 of {root.trust_domain}, until {root.expires:%Y-%m-%d}")
        output.tell("next: reg serve · back up: reg key backup FILE")
    output.answer(root.trust_domain)


def _found(
    state: State, name: ApplicationName, url: str, trust_root: str | None, *, new_domain: bool
) -> founding.Founded:
    now = datetime.now(UTC)
    client = Client(url, environment=state.environment, folder=Path("/"))
    if trust_root is not None:
        return founding.join_remotely(client.registry, trust_root)
    is_here = is_loopback(Origin.parse(url).host)
    has_root = (places.data_folder(state.environment) / places.ROOT_FILE).is_file()
    if is_here and (has_root or not founding.answers(client.registry)):
        return founding.found_locally(state.environment, name, url, now, new_domain=new_domain)
    if is_here and client.settings.token() is None:
        founding.take_local_token(state.environment, url)
    return founding.found_remotely(state.environment, client.registry, name, now)
