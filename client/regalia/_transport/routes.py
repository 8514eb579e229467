"""Which way out: directly, or through the proxy that the environment names."""

import base64
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Self
from urllib.parse import unquote, urlsplit

from regalia.core.errors import ConfigurationError
from regalia.core.values import frozen

_PORTS = {"http": 80, "https": 443}


@frozen
class Origin:
    """Scheme, host and port of a server: what a token is for."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read the origin of a URL.

        Raises:
            ConfigurationError: It is no http or https URL.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigurationError(f"{url[:120]!r} is no URL: {error}") from error
        if parts.scheme not in _PORTS or not host or any(ord(character) <= 32 for character in url):
            raise ConfigurationError(
                f"{url[:120]!r} is no address of a registry", hint="write it as https://registry.example.com"
            )
        if parts.username is not None:
            raise ConfigurationError("the registry's URL holds a user or password", hint="use reg login")
        return cls(parts.scheme, host, port or _PORTS[parts.scheme])

    def __str__(self) -> str:
        """Spell it as a URL without the default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == _PORTS[self.scheme] else f":{self.port}")


@frozen
class Proxy:
    """A proxy and what it is told to let us in."""

    host: str
    port: int
    headers: Mapping[str, str]


def proxy_for(origin: Origin, environment: Mapping[str, str]) -> Proxy | None:
    """Find the proxy for an origin: `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY`, unless `NO_PROXY` names the host."""
    url = _setting(environment, f"{origin.scheme}_proxy") or _setting(environment, "all_proxy")
    if not url or is_loopback(origin.host) or _is_excepted(origin, _setting(environment, "no_proxy")):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or parts.hostname is None:
        raise ConfigurationError(
            f"the proxy for {origin} is no http:// address", hint=f"check {origin.scheme.upper()}_PROXY"
        )
    headers = {}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(secret).decode('ascii')}"
    return Proxy(parts.hostname, parts.port or 80, headers)


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _setting(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.upper()) or ""


def _is_excepted(origin: Origin, exceptions: str) -> bool:
    """Match `*`, hosts, suffixes (`.example.com`, `example.com`), `host:port`, addresses and networks."""
    for entry in (part.strip().lower() for part in exceptions.split(",")):
        name, _, port = entry.rpartition(":") if entry.count(":") == 1 else (entry, "", "")
        if not entry or (port and port != str(origin.port)):
            continue
        if name == "*" or origin.host == name.lstrip(".") or origin.host.endswith(f".{name.lstrip('*.')}"):
            return True
        try:
            if ip_address(origin.host) in ip_network(name, strict=False):
                return True
        except ValueError:  # a name, not an address
            continue
    return False
