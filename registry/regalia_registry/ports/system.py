"""Time, names and signatures: what a pure rule must be given."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from regalia.core.keys import PublicKey


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """Give the time, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never go back."""
        ...


class Ids(Protocol):
    """Names that nobody else has, and secrets that nobody guesses."""

    def new(self) -> str:
        """Give a UUID of version 7: later ones sort later."""
        ...

    def secret(self, size_bytes: int) -> bytes:
        """Give random bytes fit for a secret."""
        ...


class Signer(Protocol):
    """A key that this registry signs with; where the private half is, only the adapter knows."""

    @property
    def public(self) -> PublicKey:
        """The public half."""
        ...

    @property
    def keyid(self) -> str:
        """The public half's id."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign a message.

        Raises:
            UnavailableError: The key's keeper did not answer.
        """
        ...


class OwnKeys(Protocol):
    """The keys that this registry holds: those that sign freshness, and later the log."""

    def freshness_signers(self, keyids: Collection[str]) -> Sequence[Signer]:
        """Find the freshness keys that a root names."""
        ...

    def public_keys(self) -> tuple[PublicKey, PublicKey]:
        """Give the public halves of the freshness and the log key that a next root should name.

        Raises:
            ConfigurationError: A key is missing.
        """
        ...


class RootFile(Protocol):
    """Where the newest root lies for those on this machine who join."""

    def keep(self, envelope: bytes) -> None:
        """Keep a newer root; a failure is the log's, as the root is stored already."""
        ...
