"""What a registry says under its own key of the collections that its worker has proved for one move."""

from typing import Self

from regalia.core.digest import Digest
from regalia.core.dsse import MAX_PAYLOAD, Envelope
from regalia.core.errors import RegaliaError, VerificationError
from regalia.core.fields import Fields
from regalia.core.names import ApplicationName, check_channel
from regalia.core.statements import MAX_COLLECTIONS, Place
from regalia.core.strict_json import parse_object, write
from regalia.core.trust import Role, Root
from regalia.core.values import frozen

PREPARATION_PAYLOAD = "application/vnd.regalia.preparation.v1+json"

_WHAT = "what was prepared"
_MAX_NAME = 256


@frozen
class Preparation:
    """The collections that an operation has proved for a bundle in a channel: who signs its pointer signs these.

    The catalog alone could be made to name others by whoever writes to it; the key is not in it.
    """

    trust_domain: str
    application: ApplicationName
    channel: str
    bundle: Digest
    operation: str
    collections: tuple[Place, ...]

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        """Read the preparation in an envelope; nothing is verified.

        Raises:
            DocumentError: It is none.
        """
        envelope.check_type(PREPARATION_PAYLOAD, what=_WHAT)
        fields = Fields(parse_object(envelope.payload, what=_WHAT, max_bytes=MAX_PAYLOAD), _WHAT)
        return cls(
            trust_domain=fields.text("trustDomain", max_characters=_MAX_NAME),
            application=ApplicationName.parse(fields.text("application")),
            channel=check_channel(fields.text("channel")),
            bundle=Digest.parse(fields.text("bundle")),
            operation=fields.text("operation", max_characters=_MAX_NAME),
            collections=tuple(map(Place.parse, fields.children("collections", maximum=MAX_COLLECTIONS))),
        )

    def payload(self) -> bytes:
        """Write what is signed; the inverse of `of`."""
        return write(
            {
                "trustDomain": self.trust_domain,
                "application": str(self.application),
                "channel": self.channel,
                "bundle": str(self.bundle),
                "operation": self.operation,
                "collections": [{**place.written()} for place in self.collections],
            }
        )


def verify_preparation(body: bytes, *, root: Root, expected: Preparation) -> None:
    """Verify that the registry's freshness keys say exactly this.

    Raises:
        VerificationError: They say something else, or nothing.
    """
    try:
        envelope = Envelope.parse(body, what=_WHAT)
        root.require(envelope, Role.FRESHNESS, expected.application, expected.channel)
        found = Preparation.of(envelope)
    except VerificationError:
        raise
    except RegaliaError as error:
        raise VerificationError(error.message, hint=error.hint, step="preparation") from error
    if found != expected:
        raise VerificationError(
            "the registry's worker has proved other collections for this move than its records name",
            hint="look who writes to the registry's database, and sign nothing",
            step="preparation",
        )
