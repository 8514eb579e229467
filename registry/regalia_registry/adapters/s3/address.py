"""The address of a bucket: `s3://bucket/prefix?endpoint=…`, and never a secret."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from regalia.core.errors import ConfigurationError

_VARIABLE = "REGALIA_SERVER_BLOBS"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_PREFIX = re.compile(r"(?:[A-Za-z0-9!_'()*.-]+(?:/[A-Za-z0-9!_'()*.-]+)*)?\Z")  # what S3 calls safe
_REGION = re.compile(r"[a-z0-9-]{1,64}\Z")
_KEY = re.compile(r"[A-Za-z0-9:/_.-]{1,256}\Z")
_MAX_PREFIX = 512
_KNOWN = ("region", "endpoint", "path_style", "checksum", "encryption", "kms_key", "redirect")
_CHECKSUMS = ("sha256", "md5")
_ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
_OFF = "off"
_CREDENTIALS = "credentials come from boto3's own chain: a role, AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the blobs are, and how the server wants to be spoken to.

    `prefix` is empty or ends in `/`. `endpoint` is None for AWS itself. `public` is where clients reach the same bucket
    and None where that is the endpoint; `redirects` says whether they are sent there at all. `checksum` is what guards
    the bytes on their way: `sha256`, or `md5` for a server that does not know the other.
    """

    bucket: str
    prefix: str
    region: str | None = None
    endpoint: str | None = None
    path_style: bool = False
    checksum: str = "sha256"
    encryption: str | None = None
    kms_key: str | None = None
    redirects: bool = True
    public: str | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address.

        Raises:
            ConfigurationError: It is none, holds a secret, or a parameter is unknown or out of its values.
        """
        try:
            parts = urlsplit(url)
            given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query), max_num_fields=32)
        except ValueError as error:
            raise _wrong("it is no URL", "write it as s3://bucket/prefix?region=eu-central-1") from error
        if "@" in parts.netloc:
            raise _wrong("it holds a user or password", _CREDENTIALS)
        if not _BUCKET.match(parts.netloc):
            raise _wrong(f'"{parts.netloc[:80]}" is no name of a bucket', "write it as s3://bucket/prefix")
        if parts.fragment:
            raise _wrong("it has a fragment (#…)", "remove it")
        return cls._of(parts.netloc, _prefix_of(unquote(parts.path)), _once(given))

    def key(self, name: str) -> str:
        """Give the key of a blob, or of the first characters of one."""
        return f"{self.prefix}sha256/{name}"

    @classmethod
    def _of(cls, bucket: str, prefix: str, given: Mapping[str, str]) -> Self:
        endpoint, redirect = given.get("endpoint"), given.get("redirect", "")
        encryption, kms_key = (
            _choice(given, "encryption", _ENCRYPTIONS),
            _matching(given, "kms_key", _KEY, "an id or an ARN"),
        )
        if kms_key is not None and (encryption is None or not encryption.startswith("aws:kms")):
            raise _wrong('"kms_key" needs an encryption that uses it', "add encryption=aws:kms")
        path_style = _choice(given, "path_style", ("true", "false")) or ("false" if endpoint is None else "true")
        return cls(
            bucket,
            prefix,
            region=_matching(given, "region", _REGION, "eu-central-1"),
            endpoint=None if endpoint is None else _origin("endpoint", endpoint),
            path_style=path_style == "true",
            checksum=_choice(given, "checksum", _CHECKSUMS) or _CHECKSUMS[0],
            encryption=encryption,
            kms_key=kms_key,
            redirects=redirect != _OFF,
            public=None if redirect in {"", _OFF} else _origin("redirect", redirect),
        )


def _once(given: list[tuple[str, str]]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, value in given:
        if name not in _KNOWN:
            raise _wrong(f'it has no parameter "{name[:40]}"', f"it has {', '.join(_KNOWN)}; {_CREDENTIALS}")
        if name in found:
            raise _wrong(f'"{name}" stands twice', "write it once")
        found[name] = value
    return found


def _matching(given: Mapping[str, str], name: str, grammar: re.Pattern[str], example: str) -> str | None:
    value = given.get(name)
    if value is not None and not grammar.match(value):
        raise _wrong(f'"{name}" is {value[:80]!r}', f"expected is {example}")
    return value


def _choice(given: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    value = given.get(name)
    if value is not None and value not in choices:
        raise _wrong(f'"{name}" is {value[:80]!r}', f"it is one of {', '.join(choices)}")
    return value


def _origin(name: str, url: str) -> str:
    """Check an address of a server: scheme, host and port, and nothing else."""
    hint = f"write {name}=https://s3.example.com"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _wrong(f'"{name}" is no URL', hint) from error
    if parts.username is not None:
        raise _wrong(f'"{name}" holds a user or password', _CREDENTIALS)
    if parts.scheme not in {"http", "https"} or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise _wrong(f'"{name}" is no address of a server', hint)
    return f"{parts.scheme}://{parts.netloc}"


def _prefix_of(path: str) -> str:
    prefix = path.strip("/")
    if not _PREFIX.match(prefix) or len(prefix) > _MAX_PREFIX or {".", ".."} & set(prefix.split("/")):
        raise _wrong(f"{prefix[:80]!r} is no prefix", "letters, digits and !_'()*.- between single slashes")
    return f"{prefix}/" if prefix else ""


def _wrong(what: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"the blob store's address is wrong: {what}", hint=f"{hint}; see {_VARIABLE}")
