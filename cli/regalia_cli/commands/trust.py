"""`reg trust`: the trust root."""

from pathlib import Path

import click

from regalia import rotation
from regalia.core.errors import ConfigurationError
from regalia.core.keys import PublicKey
from regalia_cli import output
from regalia_cli.state import State, pass_state


@click.group()
def trust() -> None:
    """Show and change the trust root."""


@trust.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def show(state: State, *, as_json: bool) -> None:
    """Show the newest root: who may sign what."""
    found = rotation.newest_root(state.client)
    root = found.root
    rows = [("root", "", "", str(root.root_threshold), [keyid[:16] for keyid in root.root_keyids], "")]
    rows += [
        (
            one.role,
            ",".join(one.apps),
            ",".join(one.channels),
            str(one.threshold),
            [keyid[:16] for keyid in one.keyids],
            str(one.epoch),
        )
        for one in root.delegations
    ]
    columns = ("ROLE", "APPS", "CHANNELS", "THRESHOLD", "KEYS", "EPOCH")
    if as_json:
        roles = [dict(zip((column.lower() for column in columns), row, strict=True)) for row in rows]
        described = {"trust_domain": root.trust_domain, "version": root.version, "digest": str(found.identity)}
        output.answer_json({**described, "expires": f"{root.expires:%Y-%m-%dT%H:%M:%SZ}", "roles": roles})
        return
    output.tell(f"root v{root.version} of {root.trust_domain}, until {root.expires:%Y-%m-%d}; {found.identity}")
    output.answer_table(columns, [(*row[:4], ", ".join(row[4]), row[5]) for row in rows], empty="")


@trust.command(name="add-key")
@click.argument("role", type=click.Choice(["release", "channel", "root"]))
@click.argument("public", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@pass_state
def add_key(state: State, role: str, public: Path) -> None:
    """Let one more key sign for ROLE; PUBLIC is the file that reg key create wrote on the other machine."""
    try:
        pem = public.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f'"{public}" is no public key: {error}') from error
    _tell(rotation.add_key(state.client, role, PublicKey.parse(pem)))


@trust.command()
@click.argument("role", type=click.Choice(rotation.ROLES))
@click.option("--compromised", is_flag=True, help="The key was stolen: its signatures are left behind.")
@pass_state
def rotate(state: State, role: str, *, compromised: bool) -> None:
    """Exchange the key of ROLE; what the old key signed is signed by the new one, so old bundles verify.

    For freshness and log run it beside the registry's data folder. Where the key is stolen say --compromised: bundles
    and pointers that only it signed are left behind, and the channels that stop are named.
    """
    changed = rotation.rotate(state.client, role, compromised=compromised)
    _tell(changed)
    for held in changed.stored.held:
        output.tell(f"on hold: {held}")
    for stopped in changed.stored.stopped:
        output.tell(f"stopped: {stopped}; next: reg promote or reg restore it")


@trust.command()
@pass_state
def renew(state: State) -> None:
    """Give the root a later expiry."""
    _tell(rotation.renew(state.client))


def _tell(changed: rotation.Changed) -> None:
    root = changed.root.root
    for path in changed.written:
        output.tell(f"wrote {path}" + (": commit it" if path.suffix == ".json" else ": 0600"))
    if changed.signatures:
        output.tell(f"{changed.signatures} documents were signed again")
    output.answer(f"root v{root.version} of {root.trust_domain}, until {root.expires:%Y-%m-%d}")
