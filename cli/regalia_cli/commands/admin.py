"""`reg admin`: the registry's own database, on the machine that serves it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from regalia_cli import output
from regalia_cli.server import load_command

_FAILED = "failed"


def _data(command: Callable[..., Any]) -> Callable[..., Any]:
    folder = click.Path(file_okay=False, path_type=Path)
    return click.option("--data", type=folder, help="Data folder; default REGALIA_DATA.")(command)


@click.group()
def admin() -> None:
    """Look after the registry's database; where it is, REGALIA_SERVER_DATABASE says."""


@admin.command()
@_data
def migrate(data: Path | None) -> None:
    """Bring the database to the tables of this version.

    reg serve does so at its start. Where several replicas start, or a role of its own may make tables, do it before: of
    two at once, one waits for the other, and nothing waits longer than two seconds for a table that is in use.
    """
    load_command("admin-migrate")(data=data)
    output.tell("the database has the tables of this version")


@admin.command()
@_data
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(data: Path | None, *, as_json: bool) -> int:
    """Say whether the database is reached and what it lacks; exits 1 where it can't be used."""
    found = load_command("admin-check")(data=data)
    columns = ("CHECK", "STATE", "FOUND", "DO")
    if as_json:
        output.answer_json([dict(zip(map(str.lower, columns), row, strict=True)) for row in found])
    else:
        output.answer_table(columns, found, empty="")
    return int(any(state == _FAILED for _, state, _, _ in found))


@admin.command()
@_data
@click.option("--to-database", "database", default="", envvar="REGALIA_COPY_DATABASE", help="The new database's URL.")
@click.option("--to-blobs", "blobs", default="", envvar="REGALIA_COPY_BLOBS", help="The new blob store's URL.")
def copy(data: Path | None, database: str, blobs: str) -> None:
    """Copy a registry that is stopped into another database and blob store, and prove that both hold the same.

    A copy that breaks off is gone on with by the same command. URLs with passwords are better given by
    REGALIA_COPY_DATABASE and REGALIA_COPY_BLOBS. Afterwards name the new places in server.toml: clients notice nothing.
    """
    if not (database or blobs):
        raise click.UsageError("say what to copy: --to-database, --to-blobs, or both")
    for line in load_command("admin-copy")(data=data, database=database, blobs=blobs):
        output.tell(line)
    output.tell("copied; now set database and blobs in server.toml, and start the registry")
