"""From answers to errors: the code of a problem names the class; a proxy's answer without one goes by its status."""

import json

from regalia._transport import Response
from regalia.core import errors
from regalia.core.errors import RegaliaError, VerificationError

_PROBLEM = "application/problem+json"
_BY_STATUS: dict[int, type[RegaliaError]] = {
    400: errors.InvalidError,
    401: errors.UnauthenticatedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    413: errors.TooLargeError,
    421: errors.MisdirectedError,
    422: errors.RequestShapeError,
    429: errors.BusyError,
    507: errors.StorageFullError,
}
_MAX_SHOWN = 2000


def raise_for_problem(response: Response) -> None:
    """Raise the error that an answer tells, if it tells one.

    Raises:
        RegaliaError: The class that the problem's code names.
    """
    if response.status >= 400:
        raise _error_of(response)
    if response.status >= 300 and response.status != 304:
        raise errors.UnavailableError(
            f"the registry answered {response.status}", hint="is this address a registry? reg doctor"
        )


def _error_of(response: Response) -> RegaliaError:
    told = _problem(response)
    if told is None:
        kind = _BY_STATUS.get(response.status, errors.UnavailableError if response.status >= 500 else RegaliaError)
        return kind(
            f"something between here and the registry answered {response.status}",
            hint="reg doctor tells more",
        )
    message, hint = _text(told, "detail"), _text(told, "hint")
    kind = errors.classes().get(_text(told, "code")) or _BY_STATUS.get(response.status, RegaliaError)
    if response.status >= 500:
        message = f"{message} (request {_text(told, 'request_id')})"
    if issubclass(kind, VerificationError):
        return kind(message, hint=hint, step=_text(told, "step"))
    if issubclass(kind, errors.ExpiredError):  # it wants a date, which does not travel
        return errors.UnavailableError(message, hint=hint)
    return kind(message, hint=hint)


def _problem(response: Response) -> dict[str, object] | None:
    if not response.headers.get("content-type", "").startswith(_PROBLEM):
        return None
    try:
        told = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _text(told: dict[str, object], name: str) -> str:
    value = told.get(name)
    return value[:_MAX_SHOWN] if isinstance(value, str) else ""
