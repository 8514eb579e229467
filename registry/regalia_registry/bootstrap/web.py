"""What a web process is made of."""

from regalia_registry.bootstrap.ports import make_ports
from regalia_registry.http.app import make_app
from regalia_registry.http.front import Front
from regalia_registry.http.health import Dependency, Readiness, State
from regalia_registry.services.health import dependencies
from regalia_registry.settings import Settings


def web_app(settings: Settings) -> Front:
    """Build the service on migrated storage."""
    ports = make_ports(settings)

    def readiness() -> Readiness:
        found = dependencies(ports)
        return Readiness.of([Dependency(name, State(state), told) for name, state, told in found])

    return make_app(
        ports,
        allowed_hosts=settings.allowed_hosts,
        max_blob_bytes=settings.max_blob_bytes,
        readiness=readiness,
    )
