"""The client's settings: argument, then `REGALIA_*`, then the project's and the user's files, then a default."""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

import regalia
from regalia._transport.http import Way
from regalia.core.digest import Digest
from regalia.core.errors import ConfigurationError
from regalia.core.names import ApplicationName
from regalia.core.values import field, frozen
from regalia.places import DEFAULT_URL, PROJECT_FILE, PROJECT_ROOT_FILE, find_upwards

TYPE_CHECKING = False  # what type checkers read as true: these are loaded when they are used

if TYPE_CHECKING:
    import regalia.credentials

_KEY = re.compile(r"(application|registry):[ \t]+(?:\"([^\"]*)\"|'([^']*)'|([^#\s]+))[ \t]*(?:#.*)?\Z")
_FLOOR = re.compile(r"([0-9]{1,16})\.([0-9]{1,16})\Z")
_MAX_PROJECT_FILE = 1024 * 1024
_MAX_TOKEN_FILE = 4096


class OnStale(StrEnum):
    """What becomes of the last known good bundle once one of its documents has expired."""

    GRACE = "grace"
    STRICT = "strict"
    PIN = "pin"


@frozen
class ProjectKeys:
    """What a client reads of `regalia.yaml` without a YAML library; empty where there is none."""

    folder: Path | None = None
    application: ApplicationName | None = None
    registry: str | None = None


@frozen
class Given:
    """What the caller of `Client(…)` gave; None where nothing."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    trust_root: str | Path | None = None
    state: str | Path | None = None
    on_stale: str | None = None
    min_pointer: str | None = None


@frozen
class Settings:
    """What is in force. `trust_root` is a file or the digest of a root's payload; None where nothing names one."""

    url: str
    environment: Mapping[str, str] = field(repr=False, hash=False)
    project: ProjectKeys
    token: Callable[[], str | None] = field(repr=False)
    trust_root: Path | Digest | None
    state: Path | None
    on_stale: OnStale
    min_pointer: tuple[int, int] | None

    def way(self) -> Way:
        """Say how to reach the registry."""
        certificate = self.environment.get("REGALIA_CLIENT_CERT")
        key = self.environment.get("REGALIA_CLIENT_KEY")
        return Way(
            url=self.url,
            user_agent=f"regalia/{regalia.__version__}",
            token=self.token,
            environment=self.environment,
            ca_bundle=self.environment.get("REGALIA_CA_BUNDLE"),
            client_certificate=(certificate, key) if certificate else None,
        )


def load_settings(given: Given, *, environment: Mapping[str, str], folder: Path) -> Settings:
    """Find every setting; `folder` is where a project is looked for, upwards.

    Raises:
        ConfigurationError: A setting is malformed.
    """
    project = read_project_keys(folder)
    url = given.url or environment.get("REGALIA_URL") or project.registry or DEFAULT_URL
    state = given.state or environment.get("REGALIA_STATE")
    return Settings(
        url=url.rstrip("/"),
        environment=environment,
        project=project,
        token=_token(given, environment, url),
        trust_root=_trust_root(given.trust_root or environment.get("REGALIA_TRUST_ROOT"), project),
        state=Path(state).expanduser() if state else None,
        on_stale=_on_stale(given.on_stale or environment.get("REGALIA_ON_STALE") or OnStale.GRACE),
        min_pointer=_floor(given.min_pointer or environment.get("REGALIA_MIN_POINTER")),
    )


def read_project_keys(folder: Path) -> ProjectKeys:
    """Read the two keys of `regalia.yaml` that an agent needs; each stands on a line of its own."""
    path = find_upwards(folder, PROJECT_FILE)
    if path is None:
        return ProjectKeys()
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_PROJECT_FILE).decode("utf-8", "replace")
    except OSError as error:
        raise ConfigurationError(f'"{path}" can\'t be read: {error.strerror}') from error
    found = {}
    for line in text.splitlines():
        matched = _KEY.match(line)
        if matched is not None:
            found[matched.group(1)] = next(part for part in matched.groups()[1:] if part is not None)
    application = found.get("application")
    return ProjectKeys(
        path.parent,
        None if application is None else ApplicationName.parse(application),
        found.get("registry"),
    )


def _token(given: Given, environment: Mapping[str, str], url: str) -> Callable[[], str | None]:
    """Find where the token comes from; a file is read anew each time, since secrets are rotated in place."""
    path, fixed = environment.get("REGALIA_TOKEN_FILE"), given.token or environment.get("REGALIA_TOKEN")
    if given.token is None and path:
        return lambda: _read_token(Path(path))
    if fixed:
        return lambda: fixed
    return lambda: regalia.credentials.find_token(environment, url)


def _read_token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_TOKEN_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f'the token file "{path}" can\'t be read: {error}', hint="check REGALIA_TOKEN_FILE"
        ) from error


def _trust_root(named: str | Path | None, project: ProjectKeys) -> Path | Digest | None:
    if isinstance(named, str) and named.startswith("sha256:"):
        return Digest.parse(named)
    if named:
        return Path(named).expanduser()
    if project.folder is not None and (project.folder / PROJECT_ROOT_FILE).is_file():
        return project.folder / PROJECT_ROOT_FILE
    return None


def _on_stale(text: str) -> OnStale:
    if text not in set(OnStale):
        raise ConfigurationError(f'on_stale is "{text[:40]}"', hint=f"one of {', '.join(OnStale)}")
    return OnStale(text)


def _floor(text: str | None) -> tuple[int, int] | None:
    if not text:
        return None
    matched = _FLOOR.match(text)
    if matched is None:
        raise ConfigurationError(f'min_pointer is "{text[:40]}"', hint="EPOCH.SEQUENCE, as reg channel show prints it")
    return int(matched.group(1)), int(matched.group(2))
