"""Secrets in authors' files: found by detect-secrets, told by line and kind, never by value."""

from collections.abc import Iterable, Iterator
from functools import cache

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.filters import heuristic
from detect_secrets.plugins.base import BasePlugin

from regalia.core.names import Kind
from regalia.sources.drafts import Finding, Source

_ALLOWED = "pragma: allowlist secret"
_REFERENCES = ("env:", "file:", "aws-secretsmanager:")
_KEYWORD = "KeywordDetector"  # words like password: telling in settings, and everyday speech in prompts
# Those that guess by entropy or flag addresses: digests and documentation would be refused.
_GUESSING = frozenset({"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector"})


def findings(source: Source) -> Iterator[Finding]:
    """Find what looks like a secret."""
    for number, line in enumerate(source.body.decode("utf-8", "replace").splitlines(), start=1):
        if _ALLOWED in line:
            continue
        for name in _secrets_in(line, source):
            yield source.finding(
                "secret",
                f"a secret stands here ({name})",
                hint=f'take it out and revoke it; where it is none, end the line with "# {_ALLOWED}"',
                place=f"line {number}",
            )


def _secrets_in(line: str, source: Source) -> list[str]:
    found = ["Regalia token"] if "rgl_" in line and any(_is_token(word) for word in line.split()) else []
    for plugin in _plugins():
        is_keyword = type(plugin).__name__ == _KEYWORD
        if is_keyword and source.entry.kind is Kind.PROMPT:
            continue
        for secret in plugin.analyze_line(filename=source.what, line=line, line_number=0):
            value = secret.secret_value or ""
            if not (is_keyword and _is_plain(value)):
                found.append(secret.type)
    return sorted(set(found))


def _is_plain(value: str) -> bool:
    """Say whether what stands behind a telling word is a reference or a placeholder."""
    return (
        value.startswith(_REFERENCES)
        or heuristic.is_templated_secret(value)
        or heuristic.is_not_alphanumeric_string(value)
        or heuristic.is_potential_uuid(value)
    )


def _is_token(word: str) -> bool:
    return len(word.strip("\"',;")) == 47 and word.strip("\"',;").startswith("rgl_")


@cache
def _plugins() -> tuple[BasePlugin, ...]:
    classes: Iterable[type[BasePlugin]] = get_mapping_from_secret_type_to_class().values()
    return tuple(kind() for kind in classes if kind.__name__ not in _GUESSING)
