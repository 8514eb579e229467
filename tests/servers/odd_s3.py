"""A proxy before a real S3 that passes on all but what it is told to spoil, over real sockets."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = {"connection", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Heard:
    """A request as it came; `call` is what it is to S3: get put begin part complete abort delete list uploads."""

    call: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Said:
    """An answer; of its body, `sent` bytes are sent before the connection is cut."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent: int | None = None


PassOn = Callable[[bytes], Said]  # passes the request on, with this body
Trick = Callable[[bytes, PassOn], Said]
Change = Callable[[bytes], bytes]


@dataclass
class Between:
    """Where it listens, what it heard, and its tricks: the first of a call at its first request, and so on."""

    upstream: str
    tricks: dict[str, list[Trick]] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    url: str = ""

    def calls(self) -> list[str]:
        return [one.call for one in self.heard]

    def play(self, call: str, *tricks: Trick) -> None:
        self.heard.clear()
        self.tricks[call] = list(tricks)

    def answer(self, call: str, body: bytes, pass_on: PassOn) -> Said:
        waiting = self.tricks.get(call)
        return waiting.pop(0)(body, pass_on) if waiting else pass_on(body)


def refusing(status: int, code: str) -> Trick:
    """Do nothing, and answer an error."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return lambda _body, _pass_on: Said(status, {"Content-Type": "application/xml"}, body)


def saying(status: int, body: bytes, **headers: str) -> Trick:
    """Do nothing, and answer this."""
    return lambda _body, _pass_on: Said(status, headers, body)


def cutting(sent: int) -> Trick:
    """Do it, and cut the answer's body after so many bytes."""
    return lambda body, pass_on: replace(pass_on(body), sent=sent)


def changing(change: Change) -> Trick:
    """Do it, and change the answer's body; it is as long as it says."""

    def play(body: bytes, pass_on: PassOn) -> Said:
        said = pass_on(body)
        return replace(said, body=change(said.body))

    return play


def altering(change: Change) -> Trick:
    """Change the request's body on its way."""
    return lambda body, pass_on: pass_on(change(body))


def losing_the_answer(body: bytes, pass_on: PassOn) -> Said:
    """Do it, and hang up without a word."""
    pass_on(body)
    return Said(0, {}, b"")


def _call_of(method: str, path: str) -> str:
    parts = urlsplit(path)
    is_object = parts.path.count("/") > 1
    match method:
        case "GET" if not is_object:
            return "uploads" if "uploads" in parts.query else "list"
        case "POST":
            return "begin" if "uploads" in parts.query else "complete"
        case "PUT":
            return "part" if "partNumber" in parts.query else "put"
        case "DELETE":
            return "abort" if "uploadId" in parts.query else "delete"
        case _:
            return method.lower()


class _Handler(BaseHTTPRequestHandler):
    between: Between
    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        call = _call_of(self.command, self.path)
        self.between.heard.append(Heard(call, {name.lower(): value for name, value in self.headers.items()}))
        said = self.between.answer(call, body, self._pass_on)
        if said.status == 0:
            self.close_connection = True
            return
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        self.wfile.write(said.body[: said.sent])
        self.close_connection = said.sent is not None

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # the library's names, one a method
            return self.handle_one
        raise AttributeError(name)

    def _pass_on(self, body: bytes) -> Said:
        connection = http.client.HTTPConnection(urlsplit(self.between.upstream).netloc, timeout=60)
        passed = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        connection.request(self.command, self.path, body, {**passed, "Content-Length": str(len(body))})
        answer = connection.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        said = Said(answer.status, headers, answer.read())
        connection.close()
        return said

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def before(upstream: str) -> Iterator[Between]:
    """Listen on a free port."""
    between = Between(upstream)
    handler = type("Handler", (_Handler,), {"between": between})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        between.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield between
        finally:
            server.shutdown()
            thread.join()
