"""The URL of a PostgreSQL: a closed list of what it may say, so that none of it reaches further than a connection."""

from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from regalia.core.errors import ConfigurationError
from regalia_registry.domain.addresses import POSTGRESQL

_PROVING = frozenset({"verify-ca", "verify-full"})


def parse_address(url: str) -> dict[str, str]:
    """Read a URL as libpq's keywords.

    Raises:
        ConfigurationError: It is none, names no host, or says what is not ours to say.
    """
    if not POSTGRESQL.spelled.match(url.partition("?")[0]):
        raise ConfigurationError("the target's URL is no PostgreSQL address", hint=POSTGRESQL.example)
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.ProgrammingError as error:
        raise ConfigurationError("the target's URL is no PostgreSQL address", hint=POSTGRESQL.example) from error
    strangers = sorted(set(given) - POSTGRESQL.options)
    if strangers:
        raise ConfigurationError(
            f'the target\'s URL says "{strangers[0]}", which is not allowed',
            hint=f"allowed: {', '.join(sorted(POSTGRESQL.options))}",
        )
    hosts = given.get("host", "").split(",")
    if not all(hosts) or any(host.startswith("@") for host in hosts):
        raise ConfigurationError("the target's URL names no host", hint=POSTGRESQL.example)
    return given


def guarded(given: Mapping[str, str]) -> dict[str, str]:
    """Send no password in clear to a server that has not proved its name, unless the URL says how one is asked for."""
    is_proved = given.get("sslmode") in _PROVING or all(host.startswith("/") for host in given["host"].split(","))
    return {**({} if is_proved else {"require_auth": "!password"}), **given}


def require_foreign(url: str, *, own: Path) -> None:
    """Refuse the socket of the registry's own server under another name: there it would be its superuser.

    Raises:
        ConfigurationError: A host of the URL is a folder at or in `own`.
    """
    for host in parse_address(url)["host"].split(","):
        if host.startswith("/") and Path(host).resolve().is_relative_to(own.resolve()):
            raise ConfigurationError("that is the registry's own PostgreSQL", hint='its target is "local"')
