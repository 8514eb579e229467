"""The trust root as this machine has it: what it was given, and the steps it has verified since."""

from pathlib import Path

from regalia.cache import Cache
from regalia.calls import Registry
from regalia.core.digest import Digest
from regalia.core.errors import ConfigurationError, TrustRootError, VerificationError
from regalia.core.trust import MAX_ROOT_STEPS, TrustedRoot
from regalia.places import cache_folder, state_folder, write_private
from regalia.settings import Settings

_MAX_FILE = 128 * 1024


class TrustStore:
    """Walks from the bootstrap root to the newest one, keeping each verified step."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        """Read the bootstrap root and the cached steps after it.

        Raises:
            ConfigurationError: No root was given: nothing is trusted on first use.
            VerificationError: The root that was given does not verify.
        """
        self._newest = TrustedRoot.bootstrap(_bootstrap(settings, registry))
        domain = self._newest.root.trust_domain
        self.cache = Cache(settings.state or state_folder(settings.environment, domain))

    def newest(self) -> TrustedRoot:
        """Give the newest root, following what other processes have verified and kept in the meantime."""
        for _ in range(MAX_ROOT_STEPS):
            version = self._newest.root.version + 1
            body = self.cache.root(version)
            if body is None:
                break
            try:
                self._newest = self._newest.step(body)
            except VerificationError:
                if _is_of_another_domain(body, self._newest):
                    raise ConfigurationError(
                        f"the state folder belongs to another trust domain than {self._newest.root.trust_domain}",
                        hint="give each registry its own REGALIA_STATE",
                    ) from None
                self.cache.drop_root(version)  # broken on disk: the registry has it
                break
        return self._newest

    def walk(self, bodies: tuple[bytes, ...]) -> TrustedRoot:
        """Verify further roots, keeping the state after each step.

        Raises:
            VerificationError: A step does not follow; those before it are kept.
        """
        for body in bodies:
            following = self._newest.step(body)
            if following.root.version > self._newest.root.version:
                self.cache.keep_root(following.root.version, body)
                self._newest = following
        return self._newest


def _bootstrap(settings: Settings, registry: Registry) -> bytes:
    named = settings.trust_root
    if named is None:
        raise ConfigurationError(
            "no trust root was given, and nothing is trusted on first use",
            hint="set REGALIA_TRUST_ROOT to the project's regalia.root.json, or run where regalia.yaml is",
        )
    if isinstance(named, Digest):
        return _pinned(settings, registry, named)
    return read_root_file(named)


def read_root_file(path: Path) -> bytes:
    """Read a root's envelope from a file.

    Raises:
        ConfigurationError: It can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE)
    except OSError as error:
        raise ConfigurationError(
            f'the trust root "{path}" can\'t be read: {(error.strerror or str(error)).lower()}',
            hint="it is the file regalia.root.json of the project: REGALIA_TRUST_ROOT",
        ) from error


def _pinned(settings: Settings, registry: Registry, digest: Digest) -> bytes:
    """Get the root whose payload has this digest: from the cache, or fetched and compared."""
    folder = settings.state or cache_folder(settings.environment)
    path = folder / "bootstrap" / f"{digest.hex}.json"
    if path.is_file():
        body = read_root_file(path)
        try:
            if TrustedRoot.bootstrap(body).identity == digest:
                return body
        except VerificationError:  # broken on disk: fetched again
            pass
    body = registry.root(str(digest))
    if TrustedRoot.bootstrap(body).identity != digest:
        raise TrustRootError(
            f"the registry sent another root than {digest.short}",
            hint="check REGALIA_TRUST_ROOT and REGALIA_URL; nothing of it is used",
            step="root",
        )
    try:
        write_private(path, body)
    except OSError:  # it is only fetched again next time
        return body
    return body


def _is_of_another_domain(body: bytes, newest: TrustedRoot) -> bool:
    try:
        return TrustedRoot.bootstrap(body).root.trust_domain != newest.root.trust_domain
    except VerificationError:
        return False
