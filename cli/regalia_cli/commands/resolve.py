"""`reg resolve`: verify a bundle as an agent does, and write its files."""

import json
import os
import shutil
from pathlib import Path

import click

from regalia.bundle import Bundle
from regalia.core.errors import ConflictError
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.command()
@click.argument("reference")
@click.option(
    "--output", "folder", type=click.Path(path_type=Path), help="Write DIR/<slot>/<file> and DIR/bundle.json."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def resolve(state: State, reference: str, folder: Path | None, *, as_json: bool) -> None:
    """Resolve a reference as an agent does, every step verified, and print its digest."""
    found = state.client.refresh(reference)
    if folder is not None:
        _write(found, folder)
    if as_json:
        output.answer_json(_described(found))
        return
    output.tell(f"{found.application}@{found.version}  {found.provenance}")
    output.answer(found.digest)


def _described(bundle: Bundle) -> dict[str, object]:
    members = {str(slot): artifact for slot, artifact in bundle.members.items()}
    return {
        "application": bundle.application,
        "version": bundle.version,
        "digest": bundle.digest,
        "channel": bundle.channel,
        "provenance": str(bundle.provenance),
        "age_s": int(bundle.age.total_seconds()),
        "slots": {slot: {"version": one.config.version, "digest": str(one.digest)} for slot, one in members.items()},
    }


def _write(bundle: Bundle, folder: Path) -> None:
    """Write into a folder beside, then rename: whole, or not at all."""
    if folder.exists():
        raise ConflictError(f'"{folder}" exists', hint="choose another name; nothing is overwritten")
    beside = folder.with_name(f".{folder.name}.{os.urandom(4).hex()}")
    try:
        for slot in bundle.slots:
            for title, body in bundle.files(slot).items():
                path = beside / slot / title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)
        beside.mkdir(parents=True, exist_ok=True)
        (beside / "bundle.json").write_text(json.dumps(_described(bundle), indent=2) + "\n", encoding="utf-8")
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
