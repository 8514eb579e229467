"""Code pins: the commit of a git checkout, and images by digest; written in `regalia.yaml`, no file of their own."""

import re
import subprocess
from pathlib import Path

from regalia.core.errors import SourceError
from regalia.core.kinds.code import CodeConfig, GitPin, ImagePin
from regalia.core.names import Kind
from regalia.core.strict_json import JsonValue
from regalia.sources.drafts import NO_VERSION, Draft, Finding, Format, Read, Source

_USER = re.compile(r"(?<=://)[^/@]*@")
_GIT_S = 30


def find_git_source(folder: Path) -> tuple[GitPin, bool] | None:
    """Find the commit that a folder has checked out, and whether something in it differs; None where it is not git."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD^{commit}")
    if commit is None:
        return None
    uri = _git(folder, "remote", "get-url", "origin") or "file:///unpublished"
    changed = _git(folder, "status", "--porcelain", "--untracked-files=normal")
    return GitPin(_USER.sub("", uri), commit), changed != ""


def _read(source: Source) -> Read:
    git, findings = _git_pin(source)
    images = tuple(_image(source, given) for given in _listed(source, "images"))
    config = CodeConfig(source.slot.name, NO_VERSION, git, images)
    return Read((Draft(source.slot, config, {}, source.what, has_version=False),), tuple(findings))


def _git_pin(source: Source) -> tuple[GitPin | None, list[Finding]]:
    given = source.entry.options.get("git")
    if given is None:
        return None, []
    if not isinstance(given, str):
        raise SourceError(f"{source.what}: git is no folder", hint="{git: .}")
    found = find_git_source(source.folder / given)
    if found is None:
        raise SourceError(f'"{given}" is no git checkout with a commit', hint="git init, git commit, or leave it out")
    pin, is_dirty = found
    if not is_dirty:
        return pin, []
    message = f'"{given}" differs from its commit {pin.commit[:12]}'
    hint = "commit it, or say --allow-dirty"
    return pin, [source.finding("dirty", message, hint=hint, is_error=not source.options.allow_dirty)]


def _image(source: Source, given: JsonValue) -> ImagePin:
    if isinstance(given, str):
        return ImagePin(given)
    reference = given.get("ref") if isinstance(given, dict) else None
    platforms = given.get("platforms", []) if isinstance(given, dict) else []
    if not isinstance(reference, str) or not isinstance(platforms, list):
        raise SourceError(f"{source.what}: an image is no reference", hint="images: [registry/name@sha256:…]")
    return ImagePin(reference, tuple(map(str, platforms)))


def _listed(source: Source, name: str) -> list[JsonValue]:
    given = source.entry.options.get(name)
    if given is None:
        return []
    if not isinstance(given, list):
        raise SourceError(f'{source.what}: "{name}" is no list', hint=f"{name}: [registry/name@sha256:…]")
    return given


def _git(folder: Path, *arguments: str) -> str | None:
    """Ask git; None where it says no, or is not there."""
    try:
        asked = subprocess.run(  # noqa: S603 # fixed questions
            ["git", "-C", str(folder), *arguments],  # noqa: S607 # the user's own git
            capture_output=True,
            timeout=_GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.decode("utf-8", "replace").strip() if asked.returncode == 0 else None


FORMAT = Format(Kind.CODE, frozenset({""}), _read)
