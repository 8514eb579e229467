"""The SDK of Regalia: `from regalia import Client`. Everything is loaded when it is first used."""

import sys

TYPE_CHECKING = False  # what type checkers read as true; `typing` itself costs an agent milliseconds

if TYPE_CHECKING:
    from regalia.aio import AsyncClient, AsyncFollower
    from regalia.bundle import Bundle, Prompt, Provenance
    from regalia.client import Client
    from regalia.core.errors import (
        AccessError,
        BundleHeldError,
        ConfigurationError,
        ConflictError,
        EquivocationError,
        ExpiredError,
        NotFoundError,
        NotPlacedError,
        RegaliaError,
        RenderError,
        RollbackError,
        UnavailableError,
        VerificationError,
    )
    from regalia.following import Follower

__version__ = "0.1.0"

_EXPORTS = {
    "AsyncClient": "regalia.aio",
    "AsyncFollower": "regalia.aio",
    "Bundle": "regalia.bundle",
    "Client": "regalia.client",
    "Follower": "regalia.following",
    "Prompt": "regalia.bundle",
    "Provenance": "regalia.bundle",
    **dict.fromkeys(
        (
            "AccessError",
            "BundleHeldError",
            "ConfigurationError",
            "ConflictError",
            "EquivocationError",
            "ExpiredError",
            "NotFoundError",
            "NotPlacedError",
            "RegaliaError",
            "RenderError",
            "RollbackError",
            "UnavailableError",
            "VerificationError",
        ),
        "regalia.core.errors",
    ),
}
# Rooms that the client reaches when it needs them, and an agent that only resolves never loads.
_ROOMS = frozenset(
    {
        "administration",
        "comparing",
        "counting",
        "credentials",
        "exports",
        "following",
        "founding",
        "keystore",
        "moving",
        "notices",
        "operations",
        "project",
        "publishing",
        "questions",
        "rotation",
        "snapshotting",
        "sources",
        "testing",
    }
)

__all__ = [  # noqa: RUF022 # the two that everybody uses stand first
    "Client",
    "AsyncClient",
    "AccessError",
    "AsyncFollower",
    "Bundle",
    "BundleHeldError",
    "ConfigurationError",
    "ConflictError",
    "EquivocationError",
    "ExpiredError",
    "Follower",
    "NotFoundError",
    "NotPlacedError",
    "Prompt",
    "Provenance",
    "RegaliaError",
    "RenderError",
    "RollbackError",
    "UnavailableError",
    "VerificationError",
]


def __getattr__(name: str) -> object:
    """Load an exported name, or a room, when it is first asked for."""
    if name in _EXPORTS:
        module = _EXPORTS[name]
        __import__(module)
        found: object = getattr(sys.modules[module], name)
        globals()[name] = found
        return found
    if name in _ROOMS:
        __import__(f"regalia.{name}")
        return sys.modules[f"regalia.{name}"]
    raise AttributeError(f"module 'regalia' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what can be imported from here."""
    return sorted({*globals(), *__all__})
