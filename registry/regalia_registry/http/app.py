"""The service as an ASGI app: the table of its routes, and how errors leave it."""

from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

import regalia
from regalia.core.errors import RegaliaError, RequestShapeError
from regalia_registry.domain.series import Cells, Layout
from regalia_registry.http.errors import Answer, failure, problem, problem_of
from regalia_registry.http.front import Front
from regalia_registry.http.health import Health, make_router
from regalia_registry.http.meter import Meter
from regalia_registry.http.routes import (
    administration,
    artifacts,
    bundles,
    channels,
    files,
    fleet,
    garbage,
    operations,
    questions,
)
from regalia_registry.services.context import Ports
from regalia_registry.services.resolve import Resolver
from regalia_registry.services.sightings import Sightings

_PROBLEM_SCHEMA = {
    "description": "A problem (RFC 9457); `code` is stable, `hint` says what to do next",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "code", "detail", "request_id"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "hint": {"type": "string"},
                    "step": {"type": "string"},
                    "request_id": {"type": "string"},
                },
            }
        }
    },
}


@dataclass(frozen=True, slots=True)
class App:
    """The service behind its front door, and where it counts."""

    front: Front
    layout: Layout


def make_app(
    ports: Ports,
    cells: Cells,
    *,
    allowed_hosts: tuple[str, ...],
    max_blob_bytes: int,
    health: Health,
) -> App:
    """Put the routes together behind the front door; requests are counted in the cells."""
    routes = FastAPI(
        title="Regalia",
        version=regalia.__version__,
        description="The registry for GenAI releases. Signed documents travel as base64 of their exact bytes.",
        responses={"4XX": _PROBLEM_SCHEMA, "5XX": _PROBLEM_SCHEMA},
        redirect_slashes=False,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    routes.state.ports = ports
    routes.state.resolver = resolver = Resolver(ports)
    routes.state.sightings = sightings = Sightings(ports)
    families = (artifacts, bundles, channels, fleet, operations, questions, files, garbage, administration)
    routers = [*(family.router for family in families), make_router(health)]
    for router in routers:
        routes.include_router(router)
    routes.add_exception_handler(RegaliaError, _ours)
    routes.add_exception_handler(RequestValidationError, _shape)
    routes.add_exception_handler(HTTPException, _routing)
    routes.add_exception_handler(Exception, _failed)
    meter = Meter([route for router in routers for route in router.routes], cells)
    front = Front(
        routes,
        resolver=resolver,
        sightings=sightings,
        meter=meter,
        health=health,
        new_id=ports.ids.new,
        allowed_hosts=allowed_hosts,
        max_blob_bytes=max_blob_bytes,
    )
    return App(front, meter.layout)


def _ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, RegaliaError):
        raise error
    return _response(problem_of(error, request_id=request.state.request_id))


def _shape(request: Request, error: Exception) -> Response:
    """Reshape FastAPI's own answer: which field, what is wrong, never the value."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    told = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:5])
    return _ours(request, RequestShapeError(told or "the request has another shape", hint="see /openapi.json"))


def _routing(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = {404: "no_route", 405: "method_not_allowed"}.get(error.status_code, "http")
    answered = problem(
        error.status_code,
        code=code,
        detail=str(error.detail).lower(),
        hint="see /openapi.json",
        request_id=request.state.request_id,
    )
    response = _response(answered)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001 # the front door logs it
    return _response(failure(request_id=request.state.request_id))


def _response(answered: Answer) -> Response:
    status, headers, body = answered
    return Response(body, status, {name.decode(): value.decode() for name, value in headers})
