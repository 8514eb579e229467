"""`reg bundle`: make, list, show and verify bundles."""

from itertools import islice

import click

from regalia import administration, counting, publishing, sources
from regalia.core.errors import InvalidNameError
from regalia.core.names import Slot
from regalia.core.references import ArtifactReference
from regalia_cli import output
from regalia_cli.commands.push import push_project
from regalia_cli.state import State, pass_state


@click.group()
def bundle() -> None:
    """Make, list, show and verify bundles."""


@bundle.command()
@click.argument("version", required=False)
@click.option("--with", "others", multiple=True, metavar="SLOT=REF", help="Take a member from the registry.")
@click.option("--dry-run", is_flag=True, help="Show what would be signed; send nothing.")
@click.option("--allow-floating", is_flag=True, help="Take models whose revision may change.")
@click.option("--allow-dirty", is_flag=True, help="Take a code pin whose tree differs from its commit.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def create(
    state: State,
    version: str | None,
    others: tuple[str, ...],
    *,
    dry_run: bool,
    allow_floating: bool,
    allow_dirty: bool,
    as_json: bool,
) -> None:  # an option each
    """Push the project, pin exactly what that gives as VERSION, and sign it.

    VERSION is the newest + patch by default, 1.0.0 for a first one. The same members under the same version are
    "unchanged".
    """
    application = state.application()
    options = sources.Options(allow_floating, allow_dirty)
    pushed = push_project(state, (), options, bump=None, dry_run=dry_run)
    members = dict(_member(other, application.namespace) for other in others)
    plan = publishing.plan_bundle(state.client, application, pushed, version=version, others=members)
    against = "" if plan.newest is None else f" (against {plan.newest.version})"
    output.tell(f"{application}@{plan.index.version}{against}:")
    before = {} if plan.newest is None else plan.newest.members
    changes = counting.with_rows(state.client, application.namespace, plan.changes, before, plan.members)
    output.tell_changes(changes)
    for slot in plan.foreign:
        output.tell(f"  {slot} is not from this checkout")
    reference, state_word = f"{application}@{plan.index.version}", "unchanged"
    if not plan.is_unchanged and dry_run:
        state_word = "would be signed"
    elif not plan.is_unchanged:
        folder = state.client.settings.project.folder or state.folder
        signer = publishing.release_signer(state.client, application)
        publishing.release(state.client, publishing.with_source(plan, folder), signer)
        state_word = "signed"
    if as_json:
        answered = {"reference": reference, "digest": str(plan.index.digest), "state": state_word}
        output.answer_json({**answered, "changes": output.changes_as_rows(changes)})
        return
    output.answer(f"{reference}  {state_word}  {plan.index.digest.short}")


@bundle.command(name="list")
@click.argument("application", required=False)
@click.option("--limit", default=50, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def list_(state: State, application: str | None, limit: int, *, as_json: bool) -> None:
    """List bundles, highest version first."""
    found = list(islice(administration.list_bundles(state.client, state.application(application)), limit))
    if as_json:
        output.answer_json(found)
        return
    rows = [
        (
            one.version,
            one.digest[:19],
            one.issued_at,
            one.git_sha and one.git_sha[:12],
            one.hold and f"held: {one.hold.reason}",
        )
        for one in found
    ]
    output.answer_table(("VERSION", "DIGEST", "RELEASED", "COMMIT", ""), rows, empty="no bundles: reg bundle create")


@bundle.command()
@click.argument("reference")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_state
def show(state: State, reference: str, *, as_json: bool) -> None:
    """Show the members of a bundle, verified."""
    found = state.client.refresh(reference)
    members = [(str(slot), artifact.config.version, str(artifact.digest)) for slot, artifact in found.members.items()]
    if as_json:
        rows = [{"slot": slot, "version": version, "digest": digest} for slot, version, digest in members]
        described = {"application": found.application, "version": found.version, "digest": found.digest}
        output.answer_json({**described, "provenance": str(found.provenance), "members": rows})
        return
    output.tell(f"{found.application}@{found.version}  {found.digest}  {found.provenance}")
    output.answer_table(("SLOT", "VERSION", "DIGEST"), members, empty="no members")


@bundle.command()
@click.argument("reference")
@pass_state
def verify(state: State, reference: str) -> None:
    """Verify signatures and every byte of a bundle, and print its digest; exit 1 where something does not verify."""
    found = state.client.refresh(reference)
    for slot in found.slots:
        found.files(slot)
    root = state.client.resolver.trust.newest().root
    output.tell(f"{found.application}@{found.version}: {len(found.slots)} members verify under root v{root.version}")
    output.answer(found.digest)


def _member(text: str, namespace: str) -> tuple[Slot, ArtifactReference]:
    slot, equals, reference = text.partition("=")
    if not equals:
        raise InvalidNameError(f'"{text}" is no member', hint="--with prompts/greeting=prompt/greeting@^2.3")
    return Slot.parse(slot), ArtifactReference.parse(reference, namespace=namespace)
