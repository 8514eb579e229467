"""Founding a trust domain, or joining one: what `reg init` decides, and writes in an order that survives a crash."""

import base64
import hashlib
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from regalia import credentials, places
from regalia._transport.routes import Origin, is_loopback
from regalia.calls import Registry
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.errors import ConfigurationError, RegaliaError, TrustRootError, UnavailableError
from regalia.core.keys import PublicKey, Scheme
from regalia.core.names import ApplicationName
from regalia.core.signing import SigningKey
from regalia.core.trust import ROOT_PAYLOAD, Delegation, Role, Root, TrustedRoot
from regalia.core.values import frozen
from regalia.keystore import SIGNING_ROLES, Keystore
from regalia.trusting import read_root_file
from regalia.wire.answers import RootsStored, ServerKeys, WhoAmI
from regalia.wire.resolution import encode

_LIFE = timedelta(days=3652)
_SERVER_ROLES = ("freshness", "log")


@frozen
class Line:
    """Something that was written or signed, and what it is for."""

    told: str
    meaning: str


@frozen
class Founded:
    """The root to put beside `regalia.yaml`, and what was done for it."""

    root: TrustedRoot
    lines: tuple[Line, ...]
    joined: bool


def found_locally(
    environment: Mapping[str, str], application: ApplicationName, url: str, now: datetime, *, new_domain: bool
) -> Founded:
    """Found a registry on this machine that was never started, or join the one whose data folder is here."""
    data = places.data_folder(environment)
    root_file = data / places.ROOT_FILE
    if root_file.is_file() and not new_domain:
        root = TrustedRoot.bootstrap(read_root_file(root_file))
        return Founded(root, (Line(f"joined {root.root.trust_domain} of {data}", "no key was made"),), joined=True)
    if root_file.is_file():
        raise ConfigurationError(
            f'"{data}" holds a registry of another trust domain', hint="give the new one its own folder: REGALIA_DATA"
        )
    domain = new_trust_domain(application)
    keystore = Keystore(environment, domain)
    own = {role: keystore.create(role)[0] for role in SIGNING_ROLES}
    server = {role: _server_key(data, role) for role in _SERVER_ROLES}
    body = sign_first_root(domain, own, {role: key.public for role, key in server.items()}, now)
    token_file = _make_token(environment, data, url)
    places.write_private(root_file, body)
    folder = keystore.folder
    lines = (
        Line(f"wrote {folder}/{{{','.join(SIGNING_ROLES)}}}.pem", "0600, this machine signs with them"),
        Line(
            f"wrote {places.server_keys_folder(data)}/{{{','.join(_SERVER_ROLES)}}}.pem",
            "0600, only reg serve reads them",
        ),
        Line(f"wrote {data}/{{root.json,admin-token.sha256}}", "taken in by the first reg serve"),
        Line(f"wrote {token_file} (admin token for {Origin.parse(url)})", "0600; the server stores its SHA-256"),
    )
    return Founded(TrustedRoot.bootstrap(body), lines, joined=False)


def found_remotely(
    environment: Mapping[str, str], registry: Registry, application: ApplicationName, now: datetime
) -> Founded:
    """Found the trust domain of a registry that runs and has no root, with its admin token.

    Raises:
        ConfigurationError: It has a root: that one is joined.
    """
    if registry.get(WhoAmI, "/v1/whoami").root_version is not None:
        raise ConfigurationError(
            "the registry has a trust root already",
            hint="join it with a root that you were given: reg init … --trust-root FILE|sha256:…",
        )
    keys = registry.get(ServerKeys, "/v1/trust/server-keys")
    server = {"freshness": PublicKey.parse(keys.freshness), "log": PublicKey.parse(keys.log)}
    domain = new_trust_domain(application)
    keystore = Keystore(environment, domain)
    own = {role: keystore.create(role)[0] for role in SIGNING_ROLES}
    body = sign_first_root(domain, own, server, now)
    registry.send(RootsStored, "POST", "/v1/trust/roots", {"roots": [encode(body)]})
    lines = (
        Line(f"wrote {keystore.folder}/{{{','.join(SIGNING_ROLES)}}}.pem", "0600, this machine signs with them"),
        *(Line(f"the registry's {role} key {key.keyid[:16]}", "named by root v1") for role, key in server.items()),
    )
    return Founded(TrustedRoot.bootstrap(body), lines, joined=False)


def join_remotely(registry: Registry, given: str) -> Founded:
    """Join a registry with a root that this person was given: a file, or `sha256:…` of its payload.

    Raises:
        TrustRootError: The registry's root does not follow from it.
    """
    if given.startswith("sha256:"):
        digest = Digest.parse(given)
        body = registry.root(given)
        if TrustedRoot.bootstrap(body).identity != digest:
            raise TrustRootError("the registry sent another root than the digest names", step="root")
    else:
        body = read_root_file(Path(given).expanduser())
    root = TrustedRoot.bootstrap(body)
    newest = _walk(registry, root)
    return Founded(newest, (Line(f"joined {newest.root.trust_domain}", "no key was made"),), joined=True)


def answers(registry: Registry) -> bool:
    """Say whether something answers at the registry's address."""
    try:
        registry.get(WhoAmI, "/v1/whoami")
    except UnavailableError:
        return False
    except RegaliaError:  # it answered, and said no
        return True
    return True


def take_local_token(environment: Mapping[str, str], url: str) -> bool:
    """Keep the admin token that `reg serve` left in this machine's data folder, if one lies there."""
    path = places.data_folder(environment) / places.ADMIN_TOKEN_FILE
    if not is_loopback(Origin.parse(url).host) or not path.is_file():
        return False
    credentials.keep_token(environment, url, path.read_text(encoding="ascii").strip())
    return True


def new_trust_domain(application: ApplicationName) -> str:
    """Make an opaque name for life."""
    return f"{application.namespace}-{os.urandom(4).hex()}"


def sign_first_root(
    domain: str, own: Mapping[str, SigningKey], server: Mapping[str, PublicKey], now: datetime
) -> bytes:
    """Write and sign root version 1: one key a role, for everything."""
    publics = {role: key.public for role, key in own.items()} | dict(server)
    root = Root(
        trust_domain=domain,
        version=1,
        expires=(now + _LIFE).replace(microsecond=0),
        keys={key.keyid: key for key in publics.values()},
        root_keyids=(publics["root"].keyid,),
        root_threshold=1,
        delegations=tuple(
            Delegation(role, ("*",), ("*",), (publics[role].keyid,), threshold=1, epoch=1)
            for role in (Role.RELEASE, Role.CHANNEL, Role.FRESHNESS, Role.LOG)
        ),
    )
    return bytes(Envelope.sign(ROOT_PAYLOAD, root.payload(), [own["root"]]))


def _server_key(data: Path, role: str) -> SigningKey:
    path = places.server_keys_folder(data) / f"{role}.pem"
    if path.is_file():
        return SigningKey.parse(path.read_bytes())
    key = SigningKey.generate(Scheme.ED25519)
    places.write_private(path, key.pem())
    return key


def _make_token(environment: Mapping[str, str], data: Path, url: str) -> Path:
    token = "rgl_" + base64.urlsafe_b64encode(os.urandom(32)).decode("ascii").rstrip("=")
    kept = credentials.keep_token(environment, url, token)
    hashed = hashlib.sha256(token.encode("ascii")).hexdigest()
    places.write_private(data / places.ADMIN_TOKEN_HASH_FILE, hashed.encode("ascii"))
    return kept


def _walk(registry: Registry, root: TrustedRoot) -> TrustedRoot:
    """Follow the registry's roots from the given one to the newest."""
    while True:
        following = registry.find_root(root.root.version + 1)
        if following is None:
            return root
        root = root.step(following)
