"""Keys that live as long as the process."""

from collections.abc import Collection, Sequence

from regalia.core.keys import PublicKey, Scheme
from regalia.core.signing import SigningKey


class MemoryKeys:
    """An `OwnKeys` in memory."""

    def __init__(self) -> None:
        """Make both keys."""
        self.freshness = SigningKey.generate(Scheme.ED25519)
        self.log = SigningKey.generate(Scheme.ED25519)

    def freshness_signers(self, keyids: Collection[str]) -> Sequence[SigningKey]:
        """Find the freshness key if the root names it."""
        return [self.freshness] if self.freshness.keyid in keyids else []

    def public_keys(self) -> tuple[PublicKey, PublicKey]:
        """Give the public halves."""
        return self.freshness.public, self.log.public


class MemoryRoot:
    """A `RootFile` in memory."""

    def __init__(self) -> None:
        """Start without one."""
        self.envelope: bytes | None = None

    def keep(self, envelope: bytes) -> None:
        """Keep the newest."""
        self.envelope = envelope
