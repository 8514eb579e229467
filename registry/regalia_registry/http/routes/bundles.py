"""Bundles, holds and deployment records of an application."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from regalia.core.names import check_version
from regalia.core.references import BundleReference
from regalia.wire.answers import BundleDocuments, BundleEntry, DeploymentEntry, HoldEntry
from regalia.wire.resolution import decode
from regalia_registry.http.dependencies import (
    After,
    ApplicationPath,
    CurrentCaller,
    CurrentPorts,
    CurrentResolver,
    CurrentSightings,
    DigestPath,
    Limit,
    bundle_reference,
)
from regalia_registry.http.pages import Page, page_of
from regalia_registry.http.resolve import answer
from regalia_registry.services import audit, bundles, holds

router = APIRouter(prefix="/v1/apps/{namespace}/{name}", tags=["bundles"])

_MAX_REASON = 200


class BundleIn(BaseModel):
    """A bundle: index and release statement, each as base64 of its exact bytes."""

    model_config = ConfigDict(extra="forbid")

    index: str
    release: str


class HoldIn(BaseModel):
    """Which bundle to hold, by version or digest, and why."""

    model_config = ConfigDict(extra="forbid")

    bundle: str = Field(max_length=200)
    reason: str = Field(min_length=1, max_length=_MAX_REASON)


class ReasonIn(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=_MAX_REASON)


@router.put("/bundles/{digest}", status_code=201)
def put_bundle(
    application: ApplicationPath,
    digest: DigestPath,
    sent: BundleIn,
    response: Response,
    caller: CurrentCaller,
    ports: CurrentPorts,
) -> BundleEntry:
    """Keep a bundle; 200 where it was there, and its stored statement stays."""
    entry = bundles.put_bundle(
        ports,
        caller,
        application=application,
        digest=digest,
        index=decode(sent.index, what="the index"),
        release=decode(sent.release, what="the release statement"),
    )
    response.status_code = 201 if entry.created else 200
    return entry


@router.get("/bundles")
def list_bundles(
    application: ApplicationPath, caller: CurrentCaller, ports: CurrentPorts, after: After = None, limit: Limit = 50
) -> Page[BundleEntry]:
    """List bundles, highest version first."""
    start = None if after is None else check_version(after)
    found = bundles.list_bundles(ports, caller, application=application, after=start, limit=limit)
    return page_of(found, limit=limit, key=lambda entry: entry.version)


@router.get("/bundles/{selector}")
def get_bundle(
    application: ApplicationPath, selector: str, caller: CurrentCaller, ports: CurrentPorts
) -> BundleDocuments:
    """Get a bundle's documents by version or digest."""
    return bundles.get_bundle(ports, caller, bundle_reference(application, selector))


@router.get("/bundles/{selector}/resolve", response_class=Response)
def resolve_bundle(
    selector: str,  # noqa: ARG001 # documented here, read from the path by the shared function
    request: Request,
    resolver: CurrentResolver,
    sightings: CurrentSightings,
    root: Annotated[str | None, Query(description="the number of the root that the client has")] = None,  # noqa: ARG001 # as above
    have: Annotated[str | None, Query(description="the bundle that the client has")] = None,  # noqa: ARG001 # as above
) -> Response:
    """Resolve a bundle by version or digest: like a channel's, without pointer and freshness."""
    request_id = request.state.request_id
    status, headers, body = answer(request.scope, resolver, sightings, look=resolver.look, request_id=request_id)
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})


@router.get("/deployments")
def list_deployments(
    application: ApplicationPath,
    caller: CurrentCaller,
    ports: CurrentPorts,
    channel: Annotated[str | None, Query(max_length=32)] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[DeploymentEntry]:
    """List deployment records, newest first."""
    found = audit.list_deployments(ports, caller, application=application, channel=channel, after=after, limit=limit)
    return page_of(found, limit=limit, key=lambda entry: entry.id)


@router.get("/holds")
def list_holds(application: ApplicationPath, caller: CurrentCaller, ports: CurrentPorts) -> Page[HoldEntry]:
    """List holds, newest first."""
    return Page(holds.list_holds(ports, caller, application=application))


@router.post("/holds", status_code=201)
def hold_bundle(application: ApplicationPath, sent: HoldIn, caller: CurrentCaller, ports: CurrentPorts) -> HoldEntry:
    """Hold a bundle: nothing may newly name it."""
    return holds.hold_bundle(ports, caller, bundle_reference(application, sent.bundle), reason=sent.reason)


@router.post("/holds/{digest}/lift", status_code=204)
def lift_hold(
    application: ApplicationPath, digest: DigestPath, sent: ReasonIn, caller: CurrentCaller, ports: CurrentPorts
) -> None:
    """Lift a hold."""
    holds.lift_hold(ports, caller, BundleReference(application, digest=digest), reason=sent.reason)
