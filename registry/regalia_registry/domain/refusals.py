"""Why the catalog refuses, in one place, so that every adapter of the store says it alike."""

from regalia.core.digest import Digest
from regalia.core.errors import (
    ConflictError,
    NotFoundError,
    PointerMovedError,
    PointerVoidError,
    UnauthenticatedError,
    VersionConflictError,
)
from regalia.core.names import ApplicationName, ArtifactName, Kind
from regalia_registry.domain.records import ArtifactVersion, StoredBundle


def require_unchanged(
    artifact: ArtifactVersion, *, same_version: ArtifactVersion | None, same_content: ArtifactVersion | None
) -> None:
    """Accept a version that could not be inserted only where it is there, byte for byte.

    Raises:
        VersionConflictError: The version has other content, or the content another version.
    """
    name = artifact.artifact
    if same_version is not None and same_version.digest != artifact.digest:
        raise VersionConflictError(
            f'"{name}@{artifact.version}" is {same_version.digest.short}, pushed was {artifact.digest.short}',
            hint="a version never changes: set the next one in the file, or reg push --bump patch",
        )
    if same_version is None:
        there = "another version" if same_content is None else f'"{name}@{same_content.version}"'
        raise VersionConflictError(
            f'"{name}@{artifact.version}" has the content of {there}',
            hint="content has one version: use that one, or change the file",
        )


def require_unchanged_bundle(bundle: StoredBundle, *, same_version: StoredBundle | None) -> None:
    """Accept a bundle that could not be inserted only where it is there, byte for byte.

    Raises:
        VersionConflictError: The version has another digest.
    """
    if same_version is None or same_version.digest != bundle.digest:
        there = "another version" if same_version is None else same_version.digest.short
        raise VersionConflictError(
            f'"{bundle.application}@{bundle.version}" is {there}, sent was {bundle.digest.short}',
            hint="a version never changes: reg bundle create with the next one",
        )


def pointer_moved(application: ApplicationName, channel: str) -> PointerMovedError:
    """Say that a pointer was built on one that is no longer current."""
    return PointerMovedError(
        f'channel "{application}:{channel}" was moved by somebody else',
        hint=f"look at it and try again: reg history {application}:{channel}",
    )


def void_pointer(application: ApplicationName, channel: str) -> PointerVoidError:
    """Say that a pointer was refused once, so that it is never served."""
    return PointerVoidError(
        f'this pointer of "{application}:{channel}" was refused before and is void', hint="sign a new one"
    )


def no_channel(application: ApplicationName, channel: str) -> NotFoundError:
    """Say that a channel is not there yet."""
    return NotFoundError(
        f'there is no channel "{application}:{channel}"', hint=f"reg promote VERSION --to {channel} makes it"
    )


def no_entry(*, is_sent: bool) -> UnauthenticatedError:
    """Say that the door stays shut, without saying why a token does not open it."""
    told = "the token is unknown, expired or revoked" if is_sent else "no token was sent"
    return UnauthenticatedError(told, hint="reg login, or set REGALIA_TOKEN_FILE")


def no_artifact(artifact: ArtifactName, version: str) -> NotFoundError:
    """Say that an artifact version is not there."""
    hint = f"reg snapshot list {artifact.name}" if artifact.kind is Kind.SNAPSHOT else "push it: reg push"
    return NotFoundError(f'there is no "{artifact}@{version}"', hint=hint)


def no_bundle(application: ApplicationName, named: str) -> NotFoundError:
    """Say that a bundle is not there."""
    return NotFoundError(f'there is no bundle "{application}@{named}"', hint=f"reg bundle list {application}")


def no_token(token_id: str) -> NotFoundError:
    """Say that a token is not there."""
    return NotFoundError(f'there is no token "{token_id[:40]}"', hint="reg token list")


def no_pointer(identity: Digest) -> NotFoundError:
    """Say that a pointer is not there."""
    return NotFoundError(f"there is no pointer {identity.short}", hint="reg history lists a channel's pointers")


def root_exists(version: int) -> ConflictError:
    """Say that a version of the trust root is taken."""
    return ConflictError(f"root version {version} exists", hint="read it: reg trust show")


def token_exists(name: str) -> ConflictError:
    """Say that a token's id or secret is taken."""
    return ConflictError(f'the token "{name}" exists', hint="reg token list")


def no_operation(operation_id: str) -> NotFoundError:
    """Refuse an operation that is not there."""
    return NotFoundError(f'there is no operation "{operation_id[:40]}"', hint="reg operation list")


def channel_taken(channel: str) -> ConflictError:
    """Refuse a second operation of a channel while one is open."""
    return ConflictError(
        f'an operation of "{channel}" is open already', hint="reg operation list shows it; reg operation cancel ends it"
    )


def collection_taken(target: str, name: str) -> ConflictError:
    """Say that a collection's name was used before."""
    return ConflictError(f'the name "{name}" was used on "{target}" before', hint="a name is used once: take another")


def no_collection(collection_id: str) -> NotFoundError:
    """Say that a collection is not in the catalog."""
    return NotFoundError(f'there is no collection "{collection_id[:80]}"', hint="reg collection list TARGET")


def alias_taken(target: str, alias: str) -> ConflictError:
    """Refuse an alias that another channel moves."""
    return ConflictError(
        f'another channel moves the alias "{alias}" on "{target}"', hint="an alias belongs to one channel: take another"
    )
