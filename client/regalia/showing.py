"""Before a person signs where collections are: it is what they were shown, and what the registry's key vouches for."""

from collections.abc import Mapping, Sequence

from regalia.core.digest import Digest
from regalia.core.errors import VerificationError
from regalia.core.fields import Fields
from regalia.core.names import Slot
from regalia.core.preparation import Preparation, verify_preparation
from regalia.core.references import BundleReference
from regalia.core.statements import Place
from regalia.core.trust import Root
from regalia.wire.answers import Proposal
from regalia.wire.resolution import decode

Shown = tuple[tuple[str, str], ...]


def shown_of(told: Mapping[str, object]) -> Shown:
    """Read the targets that a preview names, by slot."""
    steps = told.get("steps")
    found = [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []
    return tuple((str(step.get("slot")), str(step.get("target"))) for step in found)


def require_shown(places: Sequence[Place], shown: Shown) -> None:
    """Refuse to sign what places other slots than were shown, or one elsewhere.

    Raises:
        VerificationError: The registry changed its mind in between.
    """
    if {(str(place.slot), place.target) for place in places} != set(shown):
        raise _other([f'"{place.slot}" on "{place.target}"' for place in places], [f'"{a}" on "{b}"' for a, b in shown])


def require_covered(shown: Shown, slots: Sequence[Slot]) -> None:
    """Refuse a plan that does not say where each of these slots will be.

    Raises:
        VerificationError: It leaves one out, or names others.
    """
    if sorted(slot for slot, _ in shown) != sorted(map(str, slots)):
        raise _other([slot for slot, _ in shown], [str(slot) for slot in slots])


def require_adopted(places: Sequence[Place], before: Sequence[Place], slot: Slot, target: str) -> None:
    """Refuse to sign more than that one slot is on a target: every other slot stays where it is.

    Raises:
        VerificationError: The registry proposes something else.
    """
    kept = [place for place in places if place.slot != slot]
    adopted = [place.target for place in places if place.slot == slot]
    if kept != [place for place in before if place.slot != slot] or adopted != [target]:
        raise _other(
            [f'"{one.slot}" in "{one.target}:{one.collection}"' for one in places], [f'"{slot}" on "{target}"']
        )


def _other(found: Sequence[str], expected: Sequence[str]) -> VerificationError:
    return VerificationError(
        f"the registry places {', '.join(found) or 'nothing'}, expected was {', '.join(expected) or 'nothing'}",
        hint="its records were changed in between: look who writes to its database, and sign nothing",
        step="pointer",
    )


def vouched_places(
    answer: Proposal, *, root: Root, channel: BundleReference, bundle: Digest, operation: str | None
) -> tuple[Place, ...]:
    """Read where an operation has prepared a bundle's collections, once the registry's own key says the same.

    Raises:
        VerificationError: It says something else, or nothing.
    """
    if operation is None:
        return ()  # whatever it proposes, nobody has prepared it
    if answer.preparation is None:
        raise VerificationError(
            "the registry does not vouch for what was prepared",
            hint="upgrade it, and ask again: what was made is there",
            step="preparation",
        )
    places = tuple(Place.parse(Fields(dict(one), "a proposed place")) for one in answer.collections)
    said = Preparation(root.trust_domain, channel.application, str(channel.channel), bundle, operation, places)
    verify_preparation(decode(answer.preparation, what="what was prepared"), root=root, expected=said)
    return places
