"""The client: resolves bundles for agents, and does for authors and SREs what `reg` does."""

import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from regalia._transport import Transport
from regalia._transport.http import HttpTransport
from regalia.bundle import Bundle
from regalia.calls import Registry
from regalia.core.references import BundleReference
from regalia.resolving import Clock, Resolver
from regalia.settings import Given, Settings, load_settings


class Client:
    """A registry, as one program uses it. Safe to share between threads, and after a fork.

    Every argument is a setting that also has an environment variable; see the operations guide.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        trust_root: str | Path | None = None,
        state: str | Path | None = None,
        on_stale: str | None = None,
        min_pointer: str | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:  # each argument is one setting: more than six is what there is to set
        """Find the settings; nothing is sent yet.

        Args:
            url: Where the registry is.
            token: A token; better kept in a file that `REGALIA_TOKEN_FILE` names.
            trust_root: A root's file, or `sha256:…` of its payload; it is the one thing that is trusted as given.
            state: The folder of the cache.
            on_stale: `grace`, `strict` or `pin`.
            min_pointer: `EPOCH.SEQUENCE` that a channel's pointer must have reached.
            transport: What sends requests; the standard library by default.
            clock: What tells the time as aware UTC; for tests.
            environment: What to read in place of this process's environment.
            folder: Where to look for `regalia.yaml` upwards; the working folder by default.

        Raises:
            ConfigurationError: A setting is malformed.
        """
        given = Given(url, token, trust_root, state, on_stale, min_pointer)
        found = os.environ if environment is None else environment
        self.settings: Settings = load_settings(given, environment=found, folder=(folder or Path.cwd()).absolute())
        self.registry = Registry(transport or HttpTransport(self.settings.way()))
        self.now: Clock = clock or (lambda: datetime.now(UTC))
        self._timestamp = time.time if clock is None else (lambda: self.now().timestamp())
        self._ready: dict[str, tuple[float, Bundle]] = {}
        self._resolver: Resolver | None = None
        self._lock = threading.RLock()
        self._process = os.getpid()

    def resolve(self, reference: str) -> Bundle:
        """Give the bundle that a reference names: from memory until its freshness ends, else by one request.

        Args:
            reference: `acme/support-agent:prod`, `acme/support-agent@2.3.1`, `acme/support-agent@sha256:…`; inside a
                project `:prod` and `2.3.1` are enough.

        Raises:
            VerificationError: A document did not verify, and no bundle is known that did; `step` names it.
            ExpiredError: What is known has expired for longer than `on_stale` allows.
            UnavailableError: The registry does not answer, and nothing is known.
        """
        ready = self._ready.get(reference)
        if ready is not None and self._timestamp() < ready[0]:
            return ready[1]
        return self._ask(reference, patient=False)

    def recall(self, reference: str) -> Bundle | None:
        """Give what `resolve` would answer from memory, without waiting for anything; None where it would ask."""
        ready = self._ready.get(reference)
        return ready[1] if ready is not None and self._timestamp() < ready[0] else None

    def refresh(self, reference: str) -> Bundle:
        """Ask the registry now; as `resolve`, whose next answer this is."""
        return self._ask(reference, patient=True)

    @property
    def behind(self) -> int:
        """How often the registry showed an older pointer than one that was trusted; a replica that lags, or a replay."""
        return 0 if self._resolver is None else self._resolver.behind

    @property
    def resolver(self) -> Resolver:
        """The part that verifies, with the trust root and the cache.

        Raises:
            ConfigurationError: No trust root was given.
        """
        if self._resolver is None:
            self._resolver = Resolver(self.settings, self.registry, self.now)
        return self._resolver

    def parse(self, reference: str) -> BundleReference:
        """Read a reference, short ones within the project."""
        return BundleReference.parse(reference, project=self.settings.project.application)

    def _ask(self, reference: str, *, patient: bool) -> Bundle:
        if self._process != os.getpid():  # a fork may have copied a lock that another thread of the parent held
            self._lock, self._process = threading.RLock(), os.getpid()
        with self._lock:
            known = None if patient else self.recall(reference)
            if known is not None:  # another thread asked while this one waited
                return known
            found = self.resolver.resolve(self.parse(reference), patient=patient)
            self._ready[reference] = found.until.timestamp(), found.bundle
            return found.bundle
