"""Every statement of the repositories that a request may cost, so that tests can look at each."""

from regalia.core.names import Kind
from regalia_registry.domain.records import ArtifactKey
from regalia_registry.ports.store import Transaction
from tests.support.records import APPLICATION, PROMPT, artifact, bundle, digest, entry, pointer, root


def read_everything(tx: Transaction) -> None:
    key = ArtifactKey(Kind.PROMPT, "a")
    tx.artifacts.add(artifact("1.0.0"))
    tx.artifacts.add(artifact("1.0.0"))
    tx.artifacts.get(PROMPT, version="1.0.0")
    tx.artifacts.find_by_digest("acme", digest=digest("it"))
    tx.artifacts.find_all_by_digest("acme", digests=[digest("it"), digest("that")])
    tx.artifacts.find_by_fingerprint(PROMPT, fingerprint=digest("it"))
    tx.artifacts.names("acme", kind=None, after=None, limit=50)
    tx.artifacts.names("acme", kind=None, after=key, limit=50)
    tx.artifacts.names("acme", kind=Kind.PROMPT, after=key, limit=50)
    tx.artifacts.versions(PROMPT, after=None, limit=50)
    tx.artifacts.versions(PROMPT, after="1.0.0", limit=50)
    tx.bundles.add(bundle("2.3.1"))
    tx.bundles.get(APPLICATION, version="2.3.1")
    tx.bundles.get_by_digest(APPLICATION, digest=bundle("2.3.1").digest)
    tx.bundles.list(APPLICATION, after=None, limit=50)
    tx.bundles.list(APPLICATION, after="2.3.1", limit=50)
    tx.bundles.add_signatures(APPLICATION, digest=bundle("2.3.1").digest, release=b"more")


def move_and_read_everything(tx: Transaction) -> None:
    first = pointer(1)
    tx.channels.move(first, expected=None)
    tx.channels.move(pointer(2, previous=first), expected=first.identity)
    tx.channels.find(APPLICATION, "prod")
    tx.channels.list(APPLICATION, after="dev", limit=50)
    tx.channels.list_all(after=(APPLICATION, "dev"), limit=50)
    tx.channels.find_pointer(first.identity)
    tx.channels.history(APPLICATION, "prod", after=None, limit=50)
    tx.channels.history(APPLICATION, "prod", after=9, limit=50)
    tx.channels.find_newest(APPLICATION, "prod", bundle=first.pointer.bundle)
    tx.channels.add_signatures(first.identity, envelope=first.envelope)
    tx.holds.find(APPLICATION, digest("it"))
    tx.holds.lift(APPLICATION, digest("it"))
    tx.roots.add(root(1))
    tx.roots.newest()
    tx.roots.find_by_identity(digest("it"))
    tx.roots.after(1, limit=8)
    tx.blobs.link("acme", sizes={digest("it"): 1})
    tx.blobs.find_sizes("acme", digests=[digest("it")])
    tx.access.find("0" * 64)
    tx.access.list(after="0", limit=50)
    tx.audit.record(entry())
    tx.audit.list(after=None, limit=50)
    tx.audit.list(after="0", limit=50)
    tx.audit.deployments(APPLICATION, channel=None, after="9", limit=50)
    tx.audit.deployments(APPLICATION, channel="prod", after="9", limit=50)
