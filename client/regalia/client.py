"""The client: resolves bundles for agents, and does for authors and SREs what `reg` does."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import regalia
from regalia._transport import Transport
from regalia._transport.http import HttpTransport
from regalia.bundle import Bundle
from regalia.calls import Registry
from regalia.core.references import BundleReference
from regalia.resolving import Clock, Resolved, Resolver
from regalia.settings import Given, Settings, load_settings

TYPE_CHECKING = False  # what type checkers read as true: these are loaded when they are used

if TYPE_CHECKING:
    import regalia.administration
    import regalia.comparing
    import regalia.core.diff
    import regalia.core.versions
    import regalia.following
    import regalia.keystore
    import regalia.moving
    import regalia.operations
    import regalia.project
    import regalia.publishing
    import regalia.snapshotting
    import regalia.sources
    import regalia.wire.answers


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
        self.folder = (folder or Path.cwd()).absolute()
        given = Given(url, token, trust_root, state, on_stale, min_pointer)
        found = os.environ if environment is None else environment
        self.settings: Settings = load_settings(given, environment=found, folder=self.folder)
        self.registry = Registry(transport or HttpTransport(self.settings.way()))
        self.now: Clock = clock or (lambda: datetime.now(UTC))
        self.timestamp = time.time if clock is None else (lambda: self.now().timestamp())
        self.feeds: dict[int, regalia.following.Feed] = {}
        self._ready: dict[str, tuple[float, Bundle]] = {}
        self._resolver: Resolver | None = None
        self._lock = threading.RLock()
        self._process = os.getpid()
        self.ask_passphrase: Callable[[str], str] | None = None

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
        if ready is not None and self.timestamp() < ready[0]:
            return ready[1]
        return self._ask(reference, patient=False)

    def recall(self, reference: str) -> Bundle | None:
        """Give what `resolve` would answer from memory, without waiting for anything; None where it would ask."""
        ready = self._ready.get(reference)
        return ready[1] if ready is not None and self.timestamp() < ready[0] else None

    def refresh(self, reference: str) -> Bundle:
        """Ask the registry now; as `resolve`, whose next answer this is."""
        return self._ask(reference, patient=True)

    def follow(self, reference: str, *, every_s: float = 10.0) -> "regalia.following.Follower":
        """Follow a channel: one thread of this client polls, and `current()` of what this gives is a look at memory.

        Args:
            reference: `acme/support-agent:prod`, or pinned in a channel: then it says only that it is served.
            every_s: How many seconds lie between two polls, ± 20 %; `reg restore --wait` waits for agents that were
                seen within the last minute.

        Raises:
            RegaliaError: What `resolve` raises: a follower starts with a bundle, or not at all.
        """
        return regalia.following.Follower(self, reference, every_s=every_s)

    def remember(self, reference: str, resolved: Resolved) -> None:
        """Take what a follower resolved as the next answer of `resolve`."""
        self._ready[reference] = resolved.until.timestamp(), resolved.bundle

    @property
    def behind(self) -> int:
        """How often the registry showed an older pointer than a trusted one: a replica lags, or a replay."""
        own = 0 if self._resolver is None else self._resolver.behind
        return own + sum(feed.behind for feed in self.feeds.values())

    @property
    def resolver(self) -> Resolver:
        """The part that verifies, with the trust root and the cache.

        Raises:
            ConfigurationError: No trust root was given.
        """
        if self._resolver is None:
            self._resolver = Resolver(self.settings, self.registry, self.now)
        return self._resolver

    @property
    def keystore(self) -> "regalia.keystore.Keystore":
        """This machine's keys of the trust domain; `ask_passphrase` is asked where one is protected."""
        domain = self.resolver.trust.newest().root.trust_domain
        return regalia.keystore.Keystore(self.settings.environment, domain, ask=self.ask_passphrase)

    def push(self, *paths: str | Path, bump: str | None = None) -> "list[regalia.publishing.PushedArtifact]":
        """Push the project's files and take its snapshots, or push these; `created` is false for what is there already.

        Raises:
            SourceError: A file has an error; all errors are in the message.
            VersionConflictError: A version exists with other content.
        """
        project = regalia.project.find(self.folder)
        entries = project.entries_for([Path(path) for path in paths])
        files = regalia.project.files_of(entries)
        inspection = regalia.sources.inspect(files, folder=project.folder, options=regalia.sources.Options())
        inspection.require()
        part = None if bump is None else regalia.core.versions.Part(bump)
        pushed = regalia.publishing.push(self, project.application.namespace, inspection.drafts, bump=part)
        taken = regalia.snapshotting.push_snapshots(self, project.application, entries, pushed, lambda _: None)
        return [*pushed, *taken]

    def create_bundle(self, version: str | None = None) -> str:
        """Push the project, pin what that gives, sign it with this machine's release key; gives the reference.

        Raises:
            VersionConflictError: The version has another digest.
        """
        project = regalia.project.find(self.folder)
        plan = regalia.publishing.plan_bundle(self, project.application, self.push(), version=version)
        if not plan.is_unchanged:
            plan = regalia.publishing.with_source(plan, project.folder)
            signer = regalia.publishing.release_signer(self, project.application)
            regalia.publishing.release(self, plan, signer)
        return f"{project.application}@{plan.index.version}"

    def promote(self, reference: str, *, to: str, reason: str = "", ticket: str | None = None) -> None:
        """Make a channel name a bundle, by a pointer that this machine's channel key signs.

        Raises:
            BundleHeldError: The bundle is on hold.
            PointerMovedError: Somebody else moved the channel meanwhile.
        """
        target = self.parse(reference)
        channel = BundleReference(target.application, channel=to)
        facts = regalia.moving.Facts(reason, ticket)
        self._execute(regalia.moving.plan_promote(self, channel, target, facts))

    def restore(self, channel: str, *, to: str = "previous", reason: str, hold: bool = True) -> None:
        """Bring a channel back to a bundle that it named before; the bundle that it leaves is held.

        Raises:
            NotFoundError: The channel has never named that bundle.
        """
        parsed, facts = self.parse(channel), regalia.moving.Facts(reason)
        self._execute(regalia.moving.plan_restore(self, parsed, to, facts, hold=hold))

    def history(self, channel: str) -> "Iterator[regalia.wire.answers.PointerEntry]":
        """List the pointers that a channel has and had, newest first."""
        return regalia.administration.history(self, self.parse(channel))

    def diff(self, old: str, new: str) -> "tuple[regalia.core.diff.SlotChange, ...]":
        """Put into words what differs between two bundles, both verified."""
        return regalia.comparing.compare(self.refresh(old).members, self.refresh(new).members)

    def _execute(self, plan: "regalia.moving.MovePlan") -> None:
        if plan.needs_worker:
            plan = regalia.moving.prepare(self, plan, lambda _: None)
        if plan.is_as_released:
            regalia.operations.cancel(self, plan.channel.application.namespace, str(plan.operation))
        elif not plan.is_unchanged:
            regalia.moving.execute(self, plan, regalia.moving.channel_signer(self, plan.channel))
            regalia.moving.settled(self, plan, lambda _: None)

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
            self.remember(reference, found)
            return found.bundle
