"""Tokens on this machine: `credentials.toml`, a table a registry's origin."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from regalia._transport.routes import Origin
from regalia.core.errors import ConfigurationError
from regalia.places import credentials_file, write_private


def find_token(environment: Mapping[str, str], url: str) -> str | None:
    """Find the token that was kept for a registry.

    Raises:
        ConfigurationError: The file is there and can't be read.
    """
    return _read(credentials_file(environment)).get(str(Origin.parse(url)))


def keep_token(environment: Mapping[str, str], url: str, token: str) -> Path:
    """Keep a token for a registry, readable by its owner only; gives the file."""
    path = credentials_file(environment)
    kept = {**_read(path), str(Origin.parse(url)): token}
    # JSON's quoting of text is TOML's.
    tables = [f"[{json.dumps(origin)}]\ntoken = {json.dumps(secret)}\n" for origin, secret in sorted(kept.items())]
    write_private(path, "\n".join(tables).encode("utf-8"))
    return path


def _read(path: Path) -> dict[str, str]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f'"{path}" can\'t be read: {error}', hint="correct it, or: reg login") from error
    found = {}
    for origin, table in tables.items():
        token = table.get("token") if isinstance(table, dict) else None
        if isinstance(token, str):
            found[origin] = token
    return found
