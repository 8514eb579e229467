"""Code: the commit and the images that the other members were tested with."""

import re

from regalia.core.digest import Digest
from regalia.core.errors import DocumentError
from regalia.core.fields import Fields
from regalia.core.kinds.spec import KIB, Change, Content, KindSpec, without_none
from regalia.core.names import Kind, check_segment, check_version
from regalia.core.strict_json import JsonObject
from regalia.core.values import frozen

_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_CREDENTIALS = re.compile(r"[a-z0-9+.-]+://[^/@]*@", re.IGNORECASE)
_MAX_IMAGES = 100


@frozen
class GitPin:
    """A commit of a repository; the URI never holds a user or a password."""

    uri: str
    commit: str

    def __post_init__(self) -> None:
        """Refuse abbreviations and credentials."""
        if not _COMMIT.match(self.commit):
            raise DocumentError(f"{self.commit[:80]!r} is no full git commit, expected 40 or 64 hex digits")
        if _CREDENTIALS.match(self.uri):
            raise DocumentError("the git URI holds a user or password", hint="pin the address without them")


@frozen
class ImagePin:
    """A container image by digest, and the platforms it was built for."""

    ref: str
    platforms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse tags: they move."""
        _, at, digest = self.ref.partition("@")
        if not at:
            raise DocumentError(f'the image "{self.ref[:120]}" has no digest', hint="pin it: NAME@sha256:…")
        Digest.parse(digest)


@frozen
class CodeConfig:
    """A code pin: a commit, images, or both."""

    name: str
    version: str
    git: GitPin | None = None
    images: tuple[ImagePin, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the grammar doesn't have."""
        check_segment(self.name, what="code")
        check_version(self.version)
        if self.git is None and not self.images:
            raise DocumentError(f'the code pin "{self.name}" names neither a commit nor an image')

    @property
    def kind(self) -> Kind:
        """Which kind it is."""
        return Kind.CODE

    @classmethod
    def parse(cls, fields: Fields) -> "CodeConfig":
        """Read the config."""
        git = fields.child("git") if fields.has("git") else None
        images = fields.children("images", maximum=_MAX_IMAGES) if fields.has("images") else []
        return cls(
            name=fields.text("name"),
            version=fields.text("version"),
            git=None if git is None else GitPin(git.text("uri", max_characters=2048), git.text("commit")),
            images=tuple(
                ImagePin(image.text("ref", max_characters=1024), image.texts("platforms", maximum=100))
                for image in images
            ),
        )

    def written(self) -> JsonObject:
        """Give the config's JSON."""
        return without_none(
            name=self.name,
            version=self.version,
            git=None if self.git is None else {"uri": self.git.uri, "commit": self.git.commit},
            images=[{"ref": image.ref, "platforms": list(image.platforms)} for image in self.images] or None,
        )


def compare(old: Content, new: Content) -> Change:
    """Say which commit or images replace which."""
    before, after = _code(old), _code(new)
    told = []
    if before.git != after.git:
        told.append(f"{_short(before.git)} → {_short(after.git)}")
    was, now = {image.ref for image in before.images}, {image.ref for image in after.images}
    told += [f"+{ref}" for ref in sorted(now - was)] + [f"-{ref}" for ref in sorted(was - now)]
    return Change(f"Updated {after.name} code: {', '.join(told) or 'its pin'}", tuple(told if len(told) > 1 else ()))


SPEC = KindSpec(Kind.CODE, 64 * KIB, CodeConfig.parse, compare)


def _code(content: Content) -> CodeConfig:
    if not isinstance(content.config, CodeConfig):
        raise DocumentError(f"a {content.config.kind} stands where a code pin was expected")
    return content.config


def _short(pin: GitPin | None) -> str:
    return "none" if pin is None else pin.commit[:12]
