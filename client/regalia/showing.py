"""Before a person signs where collections are: it is what they were shown, and what the registry's key vouches for."""

from collections.abc import Mapping, Sequence

from regalia.core.digest import Digest
from regalia.core.errors import VerificationError
from regalia.core.fields import Fields
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
    """Refuse to sign what places a slot elsewhere than was shown; nobody was shown anything where that is empty.

    Raises:
        VerificationError: The registry changed its mind in between.
    """
    for place in places:
        if shown and (str(place.slot), place.target) not in shown:
            told = ", ".join(f'"{slot}" on "{target}"' for slot, target in shown)
            raise VerificationError(
                f'the registry places "{place.slot}" on "{place.target}", shown was {told}',
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
    places = tuple(Place.parse(Fields(dict(one), "a proposed place")) for one in answer.collections)
    if operation is None and not places:
        return ()
    body = decode(answer.preparation or "", what="what was prepared")
    said = Preparation(root.trust_domain, channel.application, str(channel.channel), bundle, str(operation), places)
    verify_preparation(body, root=root, expected=said)
    return places
