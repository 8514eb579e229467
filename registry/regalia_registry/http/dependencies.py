"""What routes are given: the ports, the caller, and parsed parameters.

Who waits for nothing is a coroutine: FastAPI runs a plain function in a thread, and two switches of threads cost more
than all that these do.
"""

from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPBearer

from regalia.core.digest import Digest
from regalia.core.names import ApplicationName, Kind, check_channel, check_namespace
from regalia.core.references import BundleReference
from regalia_registry.domain.access import EVERYWHERE
from regalia_registry.http.resolve import bearer_of
from regalia_registry.services.context import Caller, Ports
from regalia_registry.services.resolve import Resolver
from regalia_registry.services.sightings import Sightings

_bearer = HTTPBearer(auto_error=False, description="A token: `rgl_` and 43 characters")


async def _ports(request: Request) -> Ports:
    return cast("Ports", request.app.state.ports)


async def _sightings(request: Request) -> Sightings:
    return cast("Sightings", request.app.state.sightings)


async def _resolver(request: Request) -> Resolver:
    return cast("Resolver", request.app.state.resolver)


def _caller(
    request: Request,
    resolver: Annotated[Resolver, Depends(_resolver)],
    _documented: Annotated[object, Depends(_bearer)],
) -> Caller:
    header = request.headers.get("authorization")
    bearer = bearer_of(None if header is None else header.encode("latin-1"))
    return Caller(resolver.actor(bearer, seen=resolver.look()), request.state.request_id)


async def _application(
    namespace: Annotated[str, Path(max_length=200)], name: Annotated[str, Path(max_length=200)]
) -> ApplicationName:
    return ApplicationName(namespace, name)


async def _namespace(namespace: Annotated[str, Path(max_length=200)]) -> str:
    return check_namespace(namespace)


async def _any_namespace(namespace: Annotated[str, Path(max_length=200)]) -> str:
    return namespace if namespace == EVERYWHERE else check_namespace(namespace)


async def _channel(channel: Annotated[str, Path(max_length=200)]) -> str:
    return check_channel(channel)


async def _digest(digest: Annotated[str, Path(max_length=200, description="sha256:<64 hex digits>")]) -> Digest:
    return Digest.parse(digest)


async def _raw_body(request: Request) -> bytes:
    return await request.body()  # the front door caps it


def bundle_reference(application: ApplicationName, text: str) -> BundleReference:
    """Read a version or digest out of a path or a query."""
    return BundleReference.parse(f"{application}@{text}")


CurrentPorts = Annotated[Ports, Depends(_ports)]
CurrentResolver = Annotated[Resolver, Depends(_resolver)]
CurrentSightings = Annotated[Sightings, Depends(_sightings)]
CurrentCaller = Annotated[Caller, Depends(_caller)]
ApplicationPath = Annotated[ApplicationName, Depends(_application)]
NamespacePath = Annotated[str, Depends(_namespace)]
AnyNamespacePath = Annotated[str, Depends(_any_namespace)]  # `*` too: what is about all of them
ChannelPath = Annotated[str, Depends(_channel)]
DigestPath = Annotated[Digest, Depends(_digest)]
RawBody = Annotated[bytes, Depends(_raw_body)]  # FastAPI would parse what calls itself +json
KindPath = Annotated[Kind, Path()]
Limit = Annotated[int, Query(ge=1, le=200, description="entries a page")]
After = Annotated[str | None, Query(max_length=200, description="the last key of the page before")]
