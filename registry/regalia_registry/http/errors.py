"""Errors over the wire: RFC 9457 problems, one status a class."""

import json

from regalia.core import errors
from regalia.core.errors import RegaliaError, VerificationError

PROBLEM = "application/problem+json"

STATUS: dict[type[RegaliaError], int] = {
    errors.RegaliaError: 500,
    errors.InvalidError: 400,
    errors.InvalidNameError: 400,
    errors.InvalidVersionError: 400,
    errors.DocumentError: 400,
    errors.SourceError: 400,
    errors.RequestShapeError: 422,
    errors.TooLargeError: 413,
    errors.UnsupportedError: 400,
    errors.RenderError: 400,
    errors.VerificationError: 400,
    errors.DigestError: 400,
    errors.SignatureError: 400,
    errors.TrustRootError: 400,
    errors.RollbackError: 400,
    errors.EquivocationError: 400,
    errors.RevokedError: 400,
    errors.ExpiredError: 400,
    errors.ClockError: 400,
    errors.NotPlacedError: 409,
    errors.AccessError: 403,
    errors.UnauthenticatedError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.VersionConflictError: 409,
    errors.PointerMovedError: 409,
    errors.PointerVoidError: 409,
    errors.BundleHeldError: 409,
    errors.MisdirectedError: 421,
    errors.ConfigurationError: 500,
    errors.UnavailableError: 503,
    errors.BusyError: 429,
    errors.StorageFullError: 507,
}
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    416: "Range Not Satisfiable",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
    507: "Insufficient Storage",
}
_RETRY_AFTER_S = "1"

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]


def problem_of(error: RegaliaError, *, request_id: str) -> Answer:
    """Turn an error of ours into an answer."""
    step = error.step if isinstance(error, VerificationError) else ""
    return problem(
        STATUS[type(error)], code=error.code, detail=error.message, hint=error.hint, request_id=request_id, step=step
    )


def failure(*, request_id: str) -> Answer:
    """Say that the registry failed, and nothing of why: that is for its log."""
    detail = "the registry failed; nothing was changed"
    return problem(500, code="internal", detail=detail, hint="see its log", request_id=request_id)


def problem(status: int, *, code: str, detail: str, request_id: str, hint: str = "", step: str = "") -> Answer:
    """Write a problem."""
    document = {
        "type": f"urn:regalia:error:{code}",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "code": code,
        "detail": detail,
        "hint": hint,
        "request_id": request_id,
        **({"step": step} if step else {}),
    }
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    headers = [(b"content-type", PROBLEM.encode()), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="regalia"'))
    if status in {429, 503}:
        headers.append((b"retry-after", _RETRY_AFTER_S.encode()))
    return status, headers, body
