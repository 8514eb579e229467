"""What S3 and boto3 say, in our words: what somebody has to correct, and what may pass by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError as UrllibError

from regalia.core.errors import BusyError, ConfigurationError, RegaliaError, StorageFullError, UnavailableError

_NO_IDENTITY = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, TokenRetrievalError)
_IDENTITY_HINT = "a role, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_ALLOW = (
    "allow s3:ListBucket and s3:ListBucketMultipartUploads on the bucket; s3:GetObject, s3:PutObject, s3:DeleteObject "
    "and s3:AbortMultipartUpload on its objects; kms:GenerateDataKey and kms:Decrypt where a key is used"
)
_NOT_ALLOWED = "may not be used like this by this identity", _ALLOW
_UNKNOWN = "does not know this identity", "renew its credentials, or correct them"
_TO_CORRECT = {
    "NoSuchBucket": ("is not there", "make it, or correct REGALIA_SERVER_BLOBS"),
    "AccessDenied": _NOT_ALLOWED,
    "Forbidden": _NOT_ALLOWED,
    "AllAccessDisabled": ("may not be used by anybody", "look at the account"),
    "InvalidAccessKeyId": _UNKNOWN,
    "SignatureDoesNotMatch": _UNKNOWN,
    "InvalidToken": _UNKNOWN,
    "ExpiredToken": _UNKNOWN,
    "TokenRefreshRequired": _UNKNOWN,
    "RequestTimeTooSkewed": ("finds our clock wrong", "set this machine's clock: NTP"),
    "PermanentRedirect": ("is in another region", "name it: ?region=…"),
    "AuthorizationHeaderMalformed": ("is in another region", "name it: ?region=…"),
    "IllegalLocationConstraintException": ("is in another region", "name it: ?region=…"),
    "NotImplemented": ("is on a server that lacks what we ask of it", "try ?checksum=md5; see docs/operations.md"),
    "MethodNotAllowed": ("is on a server that lacks what we ask of it", "is the endpoint an S3?"),
}
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "StorageFull"})
_SLOWER = frozenset({"SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException"})
_ALTERED = frozenset(
    {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody"}
)
_SILENT = (HTTPClientError, ConnectionError, IncompleteReadError, UrllibError)
_MAX_SHOWN = 64

_Words = tuple[type[RegaliaError], str, str]  # the error's class, its message and its hint

FAULTS = (ClientError, BotoCoreError, ResponseParserError, UrllibError)


def code_of(error: ClientError) -> str:
    """Give S3's own name of an error; it is a status where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """Give the status of the answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


@contextmanager
def told(bucket: str) -> Iterator[None]:
    """Say what went wrong at a bucket.

    Raises:
        UnavailableError: Whatever it was, since somebody may correct it while we run.
        StorageFullError: The server has no room.
        BusyError: It asks for fewer requests.
    """
    try:
        yield
    except FAULTS as error:
        raise translated(error, bucket) from error


@contextmanager
def told_at_start(bucket: str) -> Iterator[None]:
    """Say what has to be corrected before anything can work; what may pass by itself is no reason not to start.

    Raises:
        ConfigurationError: A setting, a right, an identity or a clock is wrong.
    """
    try:
        yield
    except FAULTS as error:
        kind, message, hint = _words(error, f'the bucket "{bucket}"')
        if kind is ConfigurationError:
            raise ConfigurationError(message, hint=hint) from error


def translated(error: Exception, bucket: str) -> UnavailableError:
    """Make an error of ours of one of `FAULTS`."""
    kind, message, hint = _words(error, f'the bucket "{bucket}"')
    return kind(message, hint=hint) if issubclass(kind, UnavailableError) else UnavailableError(message, hint=hint)


def _words(error: Exception, place: str) -> _Words:
    if isinstance(error, ClientError):
        return _answered(code_of(error), status_of(error), place)
    if isinstance(error, SSLError):
        hint = "name the authority: AWS_CA_BUNDLE=FILE"
        return ConfigurationError, f"{place}: the server's certificate is not trusted", hint
    if isinstance(error, ResponseParserError):
        return ConfigurationError, f"{place}: what answers is no S3", "correct the endpoint"
    if isinstance(error, _NO_IDENTITY):
        return ConfigurationError, f"{place}: this machine has no identity for it", _IDENTITY_HINT
    if isinstance(error, _SILENT):
        return UnavailableError, f"{place} does not answer", "is the endpoint right, and can it be reached?"
    # boto3's own text may repeat an address or an answer
    hint = "see the profile, the region and the endpoint"
    return ConfigurationError, f"{place}: boto3 says {type(error).__name__}", hint


def _answered(code: str, status: int, place: str) -> _Words:
    shown = code[:_MAX_SHOWN] or str(status)
    if code.startswith("KMS."):
        return ConfigurationError, f"{place}: its key can't be used ({shown})", "look at kms_key, and at its policy"
    if code in _TO_CORRECT or status in {401, 403}:
        words, hint = _TO_CORRECT.get(code, _NOT_ALLOWED)
        return ConfigurationError, f"{place} {words} ({shown})", hint
    if code in _FULL or status == 507:
        return StorageFullError, f"{place} takes no more ({shown})", "make room; nothing of this blob was stored"
    if code in _SLOWER or status == 429:
        return BusyError, f"{place} asks for fewer requests ({shown})", "try again in a moment"
    if code in _ALTERED:
        return UnavailableError, f"{place}: the bytes were altered on their way there ({shown})", "try again"
    if code.isdigit():  # boto3's word for an answer that holds no error of S3's
        hint = "if it stays so: is the endpoint an S3, and what stands before it?"
        return UnavailableError, f"{place}: {shown}, and nothing of S3's", hint
    return UnavailableError, f"{place} answers {shown}", "try again later"
