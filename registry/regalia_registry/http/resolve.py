"""The hot path: resolve as plain ASGI, in front of the router, answered from bytes rendered once.

The documented route calls the same function, so both answer the same bytes.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from starlette.types import Scope

from regalia.core.digest import Digest
from regalia.core.errors import InvalidError, RegaliaError, UnavailableError
from regalia.core.names import ApplicationName
from regalia.core.references import BundleReference
from regalia_registry.http.errors import Answer, problem_of
from regalia_registry.services.resolve import Body, Question, Resolver
from regalia_registry.services.sightings import Sightings

_PATH = re.compile(r"/v1/apps/([^/]{1,200})/([^/]{1,200})/(channels|bundles)/([^/]{1,400})/resolve\Z")
_INSTANCE, _SERVES = b"regalia-instance", b"regalia-serves"  # what a follower tells of itself
_KEPT = (b"cache-status", b"regalia; hit; detail=kept")  # RFC 9211
_MAX_ROOT = 2**53
_MAX_QUERY = 1024
_MAX_KEPT = 4096

Look = Callable[[], int]


def is_resolve(scope: Scope) -> bool:
    """Say whether a request is for this path."""
    return scope["method"] in {"GET", "HEAD"} and path_of(scope).endswith("/resolve")


def path_of(scope: Scope) -> str:
    """Give the path below where the app is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root) else path


def answer(scope: Scope, view: Resolver, sightings: Sightings, *, look: Look, request_id: str) -> Answer:
    """Answer a resolve request, and note who asked; whatever is wrong is a problem, never an exception.

    `look` gives the store's version, as of the request or later.
    """
    headers = dict(scope["headers"])
    try:
        question, body, is_kept = _resolved(scope, view, look, bearer_of(headers.get(b"authorization")))
    except RegaliaError as error:
        return problem_of(error, request_id=request_id)
    instance = headers.get(_INSTANCE)
    if instance is not None:
        serves = headers.get(_SERVES, b"")
        who, what = instance.decode("latin-1"), serves.decode("latin-1")
        sightings.saw(question.reference, instance=who, serves=what)
    etag = body.etag.encode("ascii")
    common = [(b"etag", etag), (b"cache-control", b"private, no-cache"), (b"vary", b"authorization")]
    if is_kept:
        common.append(_KEPT)
    if etag in _tags(headers.get(b"if-none-match", b"")):
        return 304, common, b""
    length = str(len(body.content)).encode("ascii")
    content = b"" if scope["method"] == "HEAD" else body.content
    return 200, [(b"content-type", b"application/json"), (b"content-length", length), *common], content


def _resolved(scope: Scope, view: Resolver, look: Look, token: str | None) -> tuple[Question, Body, bool]:
    """Give the question, its answer, and whether that is one from before, since the store can't be read."""
    try:
        seen = look()
        actor = view.actor(token, seen=seen)
        question = _question(path_of(scope), scope["query_string"])
        return question, view.resolve(actor, question, seen=seen), False
    except UnavailableError:
        question = _question(path_of(scope), scope["query_string"])
        kept = view.find_kept(token, question)
        if kept is None:
            raise
        return question, kept, True


def bearer_of(header: bytes | None) -> str | None:
    """Read a token out of an Authorization header."""
    if header is None or header[:7].lower() != b"bearer ":
        return None
    return header[7:].strip().decode("latin-1")


def _tags(header: bytes) -> Iterable[bytes]:
    return () if not header else {tag.strip().removeprefix(b"W/") for tag in header.split(b",")}


@lru_cache(maxsize=_MAX_KEPT)  # agents ask the same again and again; what is refused is not kept
def _question(path: str, query: bytes) -> Question:
    matched = _PATH.match(path)
    if matched is None or len(query) > _MAX_QUERY:
        raise InvalidError(f"{path[:120]!r} is no address to resolve")
    namespace, name, what, selector = map(unquote, matched.groups())
    application = ApplicationName(namespace, name)
    reference = BundleReference.parse(f"{application}{':' if what == 'channels' else '@'}{selector}")
    try:
        asked = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=20))
    except ValueError as error:
        raise InvalidError("the query has too many fields") from error
    have = asked.get("have")
    return Question(reference, _root(asked.get("root")), None if have is None else Digest.parse(have))


def _root(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) < _MAX_ROOT):
        raise InvalidError(f'"root" is {text[:40]!r}, expected the number of a root version')
    return int(text)
