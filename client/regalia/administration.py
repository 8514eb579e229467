"""Tokens, holds and the record: what an admin, an SRE and a reviewer ask of a registry."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from regalia.calls import app_path, channel_path
from regalia.client import Client
from regalia.core.names import ApplicationName
from regalia.core.references import BundleReference
from regalia.core.strict_json import JsonObject, JsonValue
from regalia.wire.answers import (
    AuditEntry,
    BundleDocuments,
    BundleEntry,
    ChannelEntry,
    DeploymentEntry,
    HoldEntry,
    PlacingEntry,
    PlacingsEntry,
    PointerEntry,
    TokenEntry,
    TokenMade,
    WhoAmI,
)


def who_am_i(client: Client) -> WhoAmI:
    """Ask whom the registry takes this token for."""
    return client.registry.get(WhoAmI, "/v1/whoami")


def create_token(
    client: Client, *, name: str, rights: Sequence[str], namespace: str, life: timedelta | None
) -> TokenMade:
    """Make a token; `life` None makes one without end. Its secret is in the answer and nowhere else."""
    grant: JsonObject = {"namespace": namespace, "rights": list(rights)}
    body: JsonObject = {"name": name, "grants": [grant]}
    if life is not None:
        body["expires_s"] = int(life / timedelta(seconds=1))
    return client.registry.send(TokenMade, "POST", "/v1/tokens", body)


def list_tokens(client: Client) -> Iterator[TokenEntry]:
    """List tokens, oldest first, without their secrets."""
    return client.registry.pages(TokenEntry, "/v1/tokens")


def revoke_token(client: Client, token_id: str) -> None:
    """End a token."""
    client.registry.change("DELETE", f"/v1/tokens/{token_id}")


def hold(client: Client, reference: BundleReference, *, reason: str) -> HoldEntry:
    """Let no pointer newly name a bundle; channels that name it go on."""
    selector = str(reference.digest or reference.version)
    path = f"{app_path(reference.application)}/holds"
    return client.registry.send(HoldEntry, "POST", path, {"bundle": selector, "reason": reason})


def lift(client: Client, reference: BundleReference, *, reason: str) -> BundleEntry:
    """Lift the hold of a bundle."""
    entry = get_bundle(client, reference).entry
    path = f"{app_path(reference.application)}/holds/{entry.digest}/lift"
    client.registry.change("POST", path, {"reason": reason})
    return entry


def get_bundle(client: Client, reference: BundleReference) -> BundleDocuments:
    """Get a bundle's documents by version or digest, unverified."""
    path = f"{app_path(reference.application)}/bundles/{reference.digest or reference.version}"
    return client.registry.get(BundleDocuments, path)


def list_bundles(client: Client, application: ApplicationName) -> Iterator[BundleEntry]:
    """List an application's bundles, highest version first."""
    return client.registry.pages(BundleEntry, f"{app_path(application)}/bundles")


def list_channels(client: Client, application: ApplicationName) -> Iterator[ChannelEntry]:
    """List an application's channels by name."""
    return client.registry.pages(ChannelEntry, f"{app_path(application)}/channels")


def get_channel(client: Client, channel: BundleReference) -> ChannelEntry:
    """Get a channel with its pointer."""
    return client.registry.get(ChannelEntry, channel_path(channel))


def history(client: Client, channel: BundleReference) -> Iterator[PointerEntry]:
    """List the pointers that a channel has and had, newest first."""
    return client.registry.pages(PointerEntry, f"{channel_path(channel)}/history")


def deployments(client: Client, application: ApplicationName, *, channel: str | None) -> Iterator[DeploymentEntry]:
    """List deployment records, refused moves included, newest first."""
    return client.registry.pages(DeploymentEntry, f"{app_path(application)}/deployments", {"channel": channel})


def audit(client: Client) -> Iterator[AuditEntry]:
    """List audit entries, newest first."""
    return client.registry.pages(AuditEntry, "/v1/audit")


def get_placings(client: Client, channel: BundleReference) -> PlacingsEntry:
    """Get where a channel places its snapshots."""
    return client.registry.get(PlacingsEntry, f"{channel_path(channel)}/placings")


def put_placings(
    client: Client,
    channel: BundleReference,
    placings: Sequence[PlacingEntry] | None = None,
    *,
    require_warm: bool | None = None,
) -> PlacingsEntry:
    """Say where a channel places its snapshots, and whether it demands a warm way back; None leaves it as it is."""
    told: list[JsonValue] = []
    for one in placings or ():
        placing: JsonObject = {"slot": one.slot, "target": one.target, "logical": one.logical, "mode": one.mode}
        if one.alias is not None:
            placing["alias"] = one.alias
        if one.standby:
            placing["standby"] = True
        told.append(placing)
    body: JsonObject = {} if placings is None else {"placings": told}
    if require_warm is not None:
        body["require_warm"] = require_warm
    return client.registry.send(PlacingsEntry, "PUT", f"{channel_path(channel)}/placings", body)
