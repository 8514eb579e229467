"""References: what people write to name a version, a digest or a channel."""

from typing import Self

from regalia.core.digest import Digest
from regalia.core.errors import InvalidNameError
from regalia.core.names import ApplicationName, ArtifactName, Kind, check_channel, check_version
from regalia.core.values import frozen

_MAX_REFERENCE = 512


@frozen
class BundleReference:
    """A bundle of an application: by channel (`:prod`), by version (`@2.3.1`) or by digest (`@sha256:…`); exactly one.

    A channel and a digest together (`:prod@sha256:…`) are pinned: this bundle, placed where that channel placed it.

    >>> str(BundleReference.parse("acme/support-agent:prod"))
    'acme/support-agent:prod'
    """

    application: ApplicationName
    channel: str | None = None
    version: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str, *, project: ApplicationName | None = None) -> Self:
        """Read a reference; inside a project, `2.3.1`, `sha256:…` and `:prod` are short for its application's.

        Raises:
            InvalidNameError: It is no reference to a bundle.
        """
        if len(text) > _MAX_REFERENCE:
            raise InvalidNameError(f"{text[:80]!r} has {len(text)} characters, at most {_MAX_REFERENCE} are allowed")
        name, mark, rest = _split(text)
        application = ApplicationName.parse(name) if name else _of_project(project, text)
        if mark == ":":
            channel, at, pin = rest.partition("@")
            if at and not pin.startswith("sha256:"):
                raise InvalidNameError(
                    f"{text[:200]!r} pins no digest", hint=f"write {application}:{channel[:40]}@sha256:…"
                )
            digest = Digest.parse(pin) if at else None
            return cls(application, channel=check_channel(channel), digest=digest)
        if rest.startswith("sha256:"):
            return cls(application, digest=Digest.parse(rest))
        return cls(application, version=check_version(rest))

    @property
    def is_pinned(self) -> bool:
        """Whether it names one bundle as a channel placed it, wherever the channel is by now."""
        return self.channel is not None and self.digest is not None

    @property
    def moves(self) -> bool:
        """Whether what it names changes with a channel."""
        return self.channel is not None and self.digest is None

    def __str__(self) -> str:
        """Spell it in full."""
        if self.channel is not None:
            pin = "" if self.digest is None else f"@{self.digest}"
            return f"{self.application}:{self.channel}{pin}"
        return f"{self.application}@{self.digest or self.version}"


@frozen
class ArtifactReference:
    """An artifact by version, range or digest: `acme/prompt/customer_support@2.3.1`, `…@^2.3`, `…@sha256:…`."""

    artifact: ArtifactName
    selector: str

    @classmethod
    def parse(cls, text: str, *, namespace: str | None = None) -> Self:
        """Read a reference; with a namespace at hand, `prompt/customer_support@2.3.1` is enough."""
        if len(text) > _MAX_REFERENCE:
            raise InvalidNameError(f"{text[:80]!r} has {len(text)} characters, at most {_MAX_REFERENCE} are allowed")
        name, at, selector = text.partition("@")
        if not at or not selector:
            raise InvalidNameError(f"{text[:80]!r} names no version", hint=f"write {name[:80] or 'prompt/name'}@2.3.1")
        parts = name.split("/")
        if len(parts) == 2 and namespace is not None:
            parts = [namespace, *parts]
        if len(parts) != 3 or parts[1] not in set(Kind):
            raise InvalidNameError(f"{text[:80]!r} is no artifact", hint="an artifact is NAMESPACE/KIND/NAME@VERSION")
        return cls(ArtifactName(parts[0], Kind(parts[1]), parts[2]), selector)

    @property
    def digest(self) -> Digest | None:
        """The digest, where it selects by one."""
        return Digest.parse(self.selector) if self.selector.startswith("sha256:") else None

    def __str__(self) -> str:
        """Spell it in full."""
        return f"{self.artifact}@{self.selector}"


def _split(text: str) -> tuple[str, str, str]:
    """Cut at the first mark; a bare version or digest has none."""
    at, colon = text.find("@"), text.find(":")
    places = [place for place in (at, colon) if place >= 0]
    if not places or text.startswith("sha256:"):
        return ("", "@", text) if "/" not in text else _refuse(text)
    place = min(places)
    return text[:place], text[place], text[place + 1 :]


def _refuse(text: str) -> tuple[str, str, str]:
    raise InvalidNameError(
        f"{text[:80]!r} names no bundle", hint=f"write {text[:80]}:prod, {text[:80]}@2.3.1 or {text[:80]}@sha256:…"
    )


def _of_project(project: ApplicationName | None, text: str) -> ApplicationName:
    if project is None:
        raise InvalidNameError(
            f'"{text[:80]}" is short for a project\'s bundle, and no project is here',
            hint="write it in full (acme/support-agent:prod, acme/support-agent@2.3.1), or go where regalia.yaml is",
        )
    return project
