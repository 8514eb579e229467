"""`reg token`: who may enter a registry."""

import re
from datetime import timedelta

import click

from regalia import administration
from regalia_cli import output
from regalia_cli.state import State, pass_state

_DAYS = re.compile(r"([1-9][0-9]{0,3})d\Z")
_RIGHTS = ("read", "publish", "promote", "admin")


@click.group()
def token() -> None:
    """Make, list and revoke tokens."""


@token.command()
@click.option("--name", required=True, help="Whose it is: ci, agents-prod.")
@click.option("--right", "rights", multiple=True, required=True, type=click.Choice(_RIGHTS), help="What it may do.")
@click.option("--namespace", required=True, help="Where; * for everywhere.")
@click.option("--expires", default="365d", show_default=True, help="DAYSd, or never.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def create(state: State, name: str, rights: tuple[str, ...], namespace: str, expires: str, *, as_json: bool) -> None:
    """Make a token and print it, this once."""
    made = administration.create_token(state.client, name=name, rights=rights, namespace=namespace, life=_life(expires))
    if as_json:
        output.answer_json(made)
        return
    output.tell(f"{made.entry.name}: {', '.join(rights)} in {namespace}, until {made.entry.expires_at or 'revoked'}")
    output.answer(made.token)


@token.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def list_(state: State, *, as_json: bool) -> None:
    """List tokens, without their secrets."""
    found = list(administration.list_tokens(state.client))
    if as_json:
        output.answer_json(found)
        return
    rows = [
        (
            one.id,
            one.name,
            "; ".join(f"{','.join(grant.rights)} in {grant.namespace}" for grant in one.grants),
            f"revoked {one.revoked_at}" if one.revoked_at else one.expires_at or "never",
        )
        for one in found
    ]
    output.answer_table(("ID", "NAME", "RIGHTS", "EXPIRES"), rows, empty="no tokens")


@token.command()
@click.argument("token_id", metavar="ID")
@pass_state
def revoke(state: State, token_id: str) -> None:
    """End a token; it is refused from the next request on."""
    administration.revoke_token(state.client, token_id)
    output.answer(f"{token_id}  revoked")


def _life(text: str) -> timedelta | None:
    if text == "never":
        return None
    matched = _DAYS.match(text)
    if matched is None:
        raise click.UsageError(f"--expires {text!r} is neither DAYSd nor never")
    return timedelta(days=int(matched.group(1)))
