"""What a person was shown before signing: where a move's collections will be; nothing is signed that says otherwise."""

from collections.abc import Mapping, Sequence

from regalia.core.errors import VerificationError
from regalia.core.statements import Place

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
