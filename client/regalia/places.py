"""Where things lie on this machine: the XDG folders, on every system, and the names in them."""

import os
from collections.abc import Mapping
from pathlib import Path

ROOT_FILE = "root.json"
PROJECT_ROOT_FILE = "regalia.root.json"
PROJECT_FILE = "regalia.yaml"
ADMIN_TOKEN_FILE = "admin-token"  # noqa: S105 # a file's name
ADMIN_TOKEN_HASH_FILE = "admin-token.sha256"  # noqa: S105 # a file's name
DEFAULT_URL = "http://127.0.0.1:7117"


def config_folder(environment: Mapping[str, str]) -> Path:
    """Where keys and credentials lie."""
    return _xdg(environment, "XDG_CONFIG_HOME", ".config")


def data_folder(environment: Mapping[str, str]) -> Path:
    """Where a registry on this machine keeps everything."""
    given = environment.get("REGALIA_DATA")
    return Path(given).expanduser() if given else _xdg(environment, "XDG_DATA_HOME", ".local/share")


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where clients keep verified bundles, a folder a trust domain."""
    return _xdg(environment, "XDG_CACHE_HOME", ".cache")


def state_folder(environment: Mapping[str, str], trust_domain: str) -> Path:
    """Where a client keeps what it trusts of one domain."""
    given = environment.get("REGALIA_STATE")
    return Path(given).expanduser() if given else cache_folder(environment) / trust_domain


def keys_folder(environment: Mapping[str, str], trust_domain: str) -> Path:
    """Where this machine's private keys of one domain lie."""
    return config_folder(environment) / "keys" / trust_domain


def credentials_file(environment: Mapping[str, str]) -> Path:
    """Where tokens lie, a table a registry."""
    return config_folder(environment) / "credentials.toml"


def server_keys_folder(data: Path) -> Path:
    """Where a registry's own keys lie in its data folder."""
    return data / "keys"


def find_upwards(start: Path, name: str) -> Path | None:
    """Find a file in a folder or the nearest one above it, as git finds its own."""
    for folder in (start, *start.parents):
        candidate = folder / name
        if candidate.is_file():
            return candidate
    return None


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all; folders on the way are private too."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(path, content, 0o600)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that others may read, whole or not at all."""
    _write(path, content, 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    beside = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as target:
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _xdg(environment: Mapping[str, str], variable: str, default: str) -> Path:
    given = Path(environment.get(variable, ""))
    # The XDG specification: a relative path is ignored.
    base = given if given.is_absolute() else Path(environment.get("HOME", "~")).expanduser() / default
    return base / "regalia"
