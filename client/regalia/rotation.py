"""Changing the trust root: further keys, exchanged keys, a later expiry; old bundles verify all along."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from regalia.client import Client
from regalia.core.dsse import Envelope
from regalia.core.errors import ConfigurationError, InvalidError, UnsupportedError, VerificationError
from regalia.core.keys import PublicKey, Scheme
from regalia.core.signing import SigningKey
from regalia.core.statements import STATEMENT_PAYLOAD, ChannelPointer, ReleaseStatement
from regalia.core.trust import ROOT_PAYLOAD, Delegation, Role, Root, TrustedRoot
from regalia.core.values import frozen, replace
from regalia.core.verification import verify_pointer, verify_release
from regalia.places import PROJECT_ROOT_FILE, data_folder, server_keys_folder, write_private, write_whole
from regalia.wire.answers import RootsStored, SignedEntry
from regalia.wire.resolution import decode, encode

ROLES = ("root", "release", "channel", "freshness", "log")

_LAPTOP_LIFE = timedelta(days=3652)
_TEAM_LIFE = timedelta(days=365)
_SERVER_ROLES = frozenset({"freshness", "log"})


@frozen
class Changed:
    """What became of a change of the root."""

    root: TrustedRoot
    stored: RootsStored
    key: str
    written: tuple[Path, ...]
    signatures: int


def newest_root(client: Client) -> TrustedRoot:
    """Walk to the registry's newest root."""
    trust = client.resolver.trust
    while True:
        known = trust.newest()
        following = client.registry.find_root(known.root.version + 1)
        if following is None:
            return known
        trust.walk((following,))


def add_key(client: Client, role: str, public: PublicKey) -> Changed:
    """Let one more key sign for a role: another laptop's, or CI's."""
    _require_role(role, ("release", "channel", "root"))
    current = newest_root(client)
    if public.keyid in current.root.keys:
        raise InvalidError(f"the root names the key {public.keyid[:12]} already", hint="reg trust show")
    keys = {**current.root.keys, public.keyid: public}
    if role == "root":
        keyids = (*current.root.root_keyids, public.keyid)
        following = replace(current.root, version=current.root.version + 1, keys=keys, root_keyids=keyids)
    else:
        following = _following(current.root, role, lambda one: replace(one, keyids=(*one.keyids, public.keyid)), keys)
    signer = _root_signer(client, current.root)
    return _send(client, [_signed(following, [signer])], [], key=public.keyid, written=())


def renew(client: Client) -> Changed:
    """Give the root a later expiry."""
    current = newest_root(client)
    life = _LAPTOP_LIFE if len(current.root.root_keyids) == 1 else _TEAM_LIFE
    expires = (client.now() + life).replace(microsecond=0)
    following = replace(current.root, version=current.root.version + 1, expires=expires)
    signer = _root_signer(client, current.root)
    return _send(client, [_signed(following, [signer])], [], key=signer.keyid, written=())


def rotate(client: Client, role: str, *, compromised: bool = False) -> Changed:
    """Exchange this machine's key of a role (for `freshness` and `log` the registry's, beside its data folder).

    The new key first signs what the old one signed: root N + 1 knows both, root N + 2 only the new one, and all of it
    is published at once. A compromised key's signatures are worth nothing: they are left behind, and the registry
    holds what no longer verifies.

    Raises:
        ConfigurationError: The key to exchange, or the root key, is not on this machine.
        ConflictError: A channel would no longer verify, and `compromised` is not said.
    """
    _require_role(role, ROLES)
    current = newest_root(client)
    signer = _root_signer(client, current.root)
    if role == "root":
        return _rotate_root(client, current.root, signer)
    old = _old_key(client, current.root, role)
    new, path = _new_key(client, role)
    both = _replaced(current.root, role, old, new.public, keeps_old=True, raises_epoch=False)
    if role in _SERVER_ROLES or compromised:
        only = _replaced(
            current.root, role, old, new.public, keeps_old=False, raises_epoch=compromised and role == "channel"
        )
        return _send(client, [_signed(only, [signer])], [], key=new.keyid, written=(path,), compromised=compromised)
    envelopes = _sign_again(client, current.root, role, new)
    last = replace(
        _replaced(current.root, role, old, new.public, keeps_old=False, raises_epoch=False), version=both.version + 1
    )
    roots = [_signed(both, [signer]), _signed(last, [signer])]
    return _send(client, roots, envelopes, key=new.keyid, written=(path,))


def _rotate_root(client: Client, root: Root, old: SigningKey) -> Changed:
    new, path = client.keystore.create("root")
    keys = {keyid: key for keyid, key in root.keys.items() if keyid != old.keyid} | {new.keyid: new.public}
    keyids = tuple(new.keyid if keyid == old.keyid else keyid for keyid in root.root_keyids)
    following = replace(root, version=root.version + 1, keys=keys, root_keyids=keyids)
    return _send(client, [_signed(following, [old, new])], [], key=new.keyid, written=(path,))


def _root_signer(client: Client, root: Root) -> SigningKey:
    if root.root_threshold > 1:
        raise UnsupportedError(
            f"the root needs {root.root_threshold} signatures, and this version gathers one",
            hint="build the next root with regalia.core.trust and send it: POST /v1/trust/roots",
        )
    return client.keystore.signer("root", root.root_keyids)


def _old_key(client: Client, root: Root, role: str) -> str:
    """Name the key to exchange: this machine's, or the one that the role has."""
    keyids = dict.fromkeys(keyid for one in root.delegations if one.role == role for keyid in one.keyids)
    if len(keyids) == 1:
        return next(iter(keyids))
    if role in _SERVER_ROLES:
        raise ConfigurationError(f"the root names {len(keyids)} {role} keys, and one is exchanged at a time")
    return client.keystore.signer(role, keyids).keyid


def _new_key(client: Client, role: str) -> tuple[SigningKey, Path]:
    if role not in _SERVER_ROLES:
        return client.keystore.create(role)
    folder = server_keys_folder(data_folder(client.settings.environment))
    if not folder.is_dir():
        raise ConfigurationError(
            f'the {role} key belongs into the registry\'s data folder, and "{folder}" is not there',
            hint="run this beside the data folder: REGALIA_DATA",
        )
    key = SigningKey.generate(Scheme.ED25519)
    path = folder / f"{role}-{key.keyid[:8]}.pem"
    write_private(path, key.pem())
    return key, path


def _replaced(root: Root, role: str, old: str, new: PublicKey, *, keeps_old: bool, raises_epoch: bool) -> Root:
    """Give the next root with `new` beside `old`, or in its place."""

    def change(one: Delegation) -> Delegation:
        if old not in one.keyids:
            return one
        exchanged = tuple(new.keyid if keyid == old else keyid for keyid in one.keyids)
        keyids = (*one.keyids, new.keyid) if keeps_old else exchanged
        return replace(one, keyids=keyids, epoch=one.epoch + 1 if raises_epoch else one.epoch)

    keys = {keyid: key for keyid, key in root.keys.items() if keeps_old or keyid != old} | {new.keyid: new}
    return _following(root, role, change, keys)


def _following(root: Root, role: str, change: Callable[[Delegation], Delegation], keys: dict[str, PublicKey]) -> Root:
    delegations = tuple(change(one) if one.role == role else one for one in root.delegations)
    return replace(root, version=root.version + 1, keys=keys, delegations=delegations)


def _sign_again(client: Client, root: Root, role: str, key: SigningKey) -> list[bytes]:
    """Let a new key sign every payload that verifies under the root in force.

    What does not, since its key was compromised before, stays behind: signing it would bring it back.
    """
    found = []
    for entry in client.registry.pages(SignedEntry, "/v1/trust/envelopes", {"role": role}):
        body = decode(entry.envelope, what="a signed document")
        envelope = Envelope.parse(body, what="a signed document")
        try:
            _verify(body, envelope, root, role)
        except VerificationError:
            continue
        found.append(bytes(Envelope.sign(STATEMENT_PAYLOAD, envelope.payload, [key])))
    return found


def _verify(body: bytes, envelope: Envelope, root: Root, role: str) -> None:
    if role == Role.RELEASE:
        statement = ReleaseStatement.of(envelope)
        verify_release(body, root=root, application=statement.application, bundle=statement.bundle)
    else:
        pointer = ChannelPointer.of(envelope)
        verify_pointer(body, root=root, application=pointer.application, channel=pointer.channel)


def _signed(root: Root, signers: Sequence[SigningKey]) -> bytes:
    return bytes(Envelope.sign(ROOT_PAYLOAD, root.payload(), signers))


def _send(
    client: Client,
    roots: Sequence[bytes],
    envelopes: Sequence[bytes],
    *,
    key: str,
    written: tuple[Path, ...],
    compromised: bool = False,
) -> Changed:
    """Publish roots and signatures as one, follow them, and rewrite the project's root file."""
    client.resolver.trust.newest().walk(roots)  # what this machine would refuse is not sent
    stored = client.registry.send(
        RootsStored,
        "POST",
        "/v1/trust/roots",
        {
            "roots": [encode(root) for root in roots],
            "envelopes": [encode(envelope) for envelope in envelopes],
            "compromised": compromised,
        },
    )
    root = client.resolver.trust.walk(tuple(roots))
    folder = client.settings.project.folder
    if folder is not None and (folder / PROJECT_ROOT_FILE).is_file():
        write_whole(folder / PROJECT_ROOT_FILE, root.envelope)
        written = (*written, folder / PROJECT_ROOT_FILE)
    return Changed(root, stored, key, written, len(envelopes))


def _require_role(role: str, roles: Sequence[str]) -> None:
    if role not in roles:
        raise InvalidError(f'"{role[:40]}" is no role that can be changed so', hint=f"roles: {', '.join(roles)}")
