"""`reg key`: this machine's private keys."""

from pathlib import Path

import click

from regalia.keystore import SIGNING_ROLES
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.group()
def key() -> None:
    """Make, back up, restore and protect this machine's keys."""


@key.command()
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(SIGNING_ROLES), help="What it signs.")
@pass_state
def create(state: State, roles: tuple[str, ...]) -> None:
    """Make a key for each role, and write its public half beside it for the root's holder."""
    for role in dict.fromkeys(roles):
        made, path = state.client.keystore.create(role)
        public = path.with_suffix(".pub")
        public.write_text(made.public.pem, encoding="ascii")
        output.tell(f"{path}: 0600, {made.keyid[:16]}")
        output.tell(f"next, where the root key is: reg trust add-key {role} {public.name}")
        output.answer(str(public))


@key.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def list_(state: State, *, as_json: bool) -> None:
    """List this machine's keys, without their secrets."""
    found = state.client.keystore.files()
    if as_json:
        output.answer_json(found)
        return
    rows = [(one.role, one.keyid[:16], "yes" if one.is_protected else "no", one.path, one.problem) for one in found]
    columns = ("ROLE", "KEY", "PROTECTED", "FILE", "")
    output.answer_table(columns, rows, empty="no keys: reg key create --role release")


@key.command()
@click.argument("file", type=click.Path(path_type=Path))
@pass_state
def backup(state: State, file: Path) -> None:
    """Write all keys of the trust domain into FILE, encrypted under one passphrase."""
    count = state.client.keystore.backup(file, _passphrase(state, confirm=True))
    output.answer(f"{count} keys in {file}; keep it and the passphrase apart")


@key.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@pass_state
def restore(state: State, file: Path) -> None:
    """Bring back the keys of a backup."""
    for path in state.client.keystore.restore(file, _passphrase(state, confirm=False)):
        output.answer(str(path))


@key.command()
@pass_state
def protect(state: State) -> None:
    """Encrypt the key files under a passphrase; signing then asks for it (or reads REGALIA_KEY_PASSPHRASE)."""
    for path in state.client.keystore.protect(_passphrase(state, confirm=True)):
        output.answer(str(path))


def _passphrase(state: State, *, confirm: bool) -> str:
    given = state.environment.get("REGALIA_KEY_PASSPHRASE")
    if given is not None:
        return given
    asked: str = click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
    return asked
