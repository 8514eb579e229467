"""The transport against real sockets: what it sends, what it refuses, when it tries again."""

import gc
import io
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest

from regalia._transport import Request
from regalia._transport.http import HttpTransport, Way
from regalia.core.errors import TooLargeError, UnavailableError

Answer = Callable[[bytes], bytes | None]  # what a request gets; None hangs up


@dataclass
class Speaking:
    """A server that answers each request by a script."""

    port: int
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def speaking(*answers: bytes | None) -> Iterator[Speaking]:
    """Answer the first request with the first answer, and so on; the last one for ever."""
    listening = socket.create_server(("127.0.0.1", 0))
    made = Speaking(listening.getsockname()[1])

    def serve(connection: socket.socket) -> None:
        with connection:
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    read = connection.recv(1)
                    if not read:
                        return
                    head += read
                made.heard.append(head)
                answer = answers[min(len(made.heard), len(answers)) - 1]
                if answer is None:
                    return
                connection.sendall(answer)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            made.connections += 1
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield made
    finally:
        listening.close()


def said(body: bytes = b"{}", *, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def moved(url: str) -> bytes:
    return said(status="307 Temporary Redirect", headers=f"Location: {url}\r\n")


def transport(url: str, **environment: str) -> HttpTransport:
    return HttpTransport(Way(url, "regalia/test", lambda: "rgl_secret", environment))


def test_a_connection_is_kept() -> None:
    with speaking(said()) as server:
        sender = transport(server.url)
        for _ in range(5):
            assert sender.send(Request("GET", "/x")).status == 200

    assert server.connections == 1


def test_a_token_goes_to_its_registry_and_no_further() -> None:
    with speaking(said(b"there")) as elsewhere, speaking(moved(f"{elsewhere.url}/blob")) as server:
        response = transport(server.url).send(Request("GET", "/x"))

    assert response.body == b"there"
    assert b"Bearer rgl_secret" in server.heard[0]
    assert b"rgl_secret" not in elsewhere.heard[0]


def test_of_a_request_only_the_range_goes_elsewhere() -> None:
    with speaking(said()) as elsewhere, speaking(moved(f"{elsewhere.url}/blob?a=1")) as server:
        transport(server.url).send(Request("GET", "/x", {"Range": "bytes=0-9", "X-Agent": "me"}))

    assert elsewhere.heard[0].startswith(b"GET /blob?a=1 HTTP/1.1\r\n")
    assert (b"Range: bytes=0-9" in elsewhere.heard[0], b"X-Agent" in elsewhere.heard[0]) == (True, False)


def test_a_circle_of_redirects_ends() -> None:
    with (
        speaking(said(status="302 Found", headers="Location: /x\r\n")) as server,
        pytest.raises(UnavailableError, match="circles"),
    ):
        transport(server.url).send(Request("GET", "/x"))

    assert len(server.heard) == 2


def test_a_second_redirect_is_not_followed() -> None:
    with (
        speaking(said()) as third,
        speaking(moved(f"{third.url}/c")) as second,
        speaking(moved(f"{second.url}/b")) as server,
        closing(transport(server.url)) as sender,
        pytest.raises(UnavailableError, match="circles"),
    ):
        sender.send(Request("GET", "/x"))

    assert third.heard == []


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://me:secret@127.0.0.1/x",
        "http://[x/",
        "http://127.0.0.1:99999/",
    ],
)
def test_a_redirect_to_what_is_no_server_is_not_followed(location: str) -> None:
    with (
        speaking(moved(location)) as server,
        closing(transport(server.url)) as sender,
        pytest.raises(UnavailableError, match="what is no address") as refused,
    ):
        sender.send(Request("GET", "/x"))

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "416 Range Not Satisfiable"])
def test_an_error_from_elsewhere_is_not_taken_for_the_registrys(status: str) -> None:
    told = b'{"code": "unauthenticated", "detail": "log in at evil.example.com"}'
    answer = said(told, status=status, headers="Content-Type: application/problem+json\r\n")
    with (
        speaking(answer) as elsewhere,
        speaking(moved(f"{elsewhere.url}/blob")) as server,
        closing(transport(server.url)) as sender,
        pytest.raises(UnavailableError, match="keeps it, answers 4") as got,
    ):
        sender.send(Request("GET", "/x"))

    assert "evil" not in f"{got.value.message}{got.value.hint}"


def test_where_it_is_kept_is_asked_for_again_when_that_is_busy() -> None:
    with (
        speaking(said(status="503 Slow Down"), said(b"there")) as elsewhere,
        speaking(moved(f"{elsewhere.url}/blob")) as server,
    ):
        response = transport(server.url).send(Request("GET", "/x"))

    assert (response.body, len(server.heard)) == (b"there", 2)


def test_an_answer_from_elsewhere_over_its_cap_is_refused_while_it_is_read() -> None:
    with (
        speaking(said(b"x" * 5000)) as elsewhere,
        speaking(moved(f"{elsewhere.url}/blob")) as server,
        pytest.raises(TooLargeError),
    ):
        transport(server.url).send(Request("GET", "/x", max_bytes=1000))


def test_a_problem_is_read_however_short_the_answer_was_to_be() -> None:
    with speaking(said(b"x" * 5000, status="404 Not Found")) as server:
        response = transport(server.url).send(Request("GET", "/x", max_bytes=10))

    assert (response.status, len(response.body)) == (404, 5000)


@pytest.mark.parametrize("declares", [True, False])
def test_an_answer_over_its_cap_is_refused_while_it_is_read(declares: bool) -> None:  # noqa: FBT001 # a parameter of the test
    body = b"x" * 5000
    answer = said(body) if declares else b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body
    with speaking(answer, None) as server, pytest.raises(TooLargeError):
        transport(server.url).send(Request("GET", "/x", max_bytes=1000, timeout_s=20.0))


def test_a_body_that_is_cut_is_no_answer() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
    with speaking(cut, None) as server, pytest.raises(UnavailableError):
        transport(server.url).send(Request("GET", "/x", timeout_s=1.0))


def test_a_server_that_says_nothing_is_unavailable_in_time() -> None:
    with speaking(b"") as server, pytest.raises(UnavailableError, match="in time"):
        transport(server.url).send(Request("GET", "/x", timeout_s=0.3))


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_perhaps_later_is_tried_again(status: str) -> None:
    with speaking(said(status=status), said(b"later")) as server:
        assert transport(server.url).send(Request("GET", "/x")).body == b"later"


def test_a_post_that_may_have_been_done_is_not_sent_again() -> None:
    with speaking(said(status="502 Bad Gateway"), said()) as server:
        assert transport(server.url).send(Request("POST", "/x", body=b"{}")).status == 502

    assert len(server.heard) == 1


def test_a_kept_connection_that_was_dropped_is_opened_again_for_a_read() -> None:
    with speaking(said(b"one"), None, said(b"two")) as server:
        sender = transport(server.url)
        sender.send(Request("GET", "/x"))

        assert sender.send(Request("GET", "/x")).body == b"two"


def test_a_proxy_is_asked_and_told_the_whole_address() -> None:
    with speaking(said(b"by proxy")) as proxy:
        sender = transport("http://registry.example.com", http_proxy=f"http://me:secret@127.0.0.1:{proxy.port}")

        assert sender.send(Request("GET", "/x")).body == b"by proxy"
    assert proxy.heard[0].startswith(b"GET http://registry.example.com/x HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in proxy.heard[0]


def test_loopback_needs_no_proxy() -> None:
    with speaking(said(b"direct")) as server:
        assert transport(server.url, http_proxy="http://127.0.0.1:1").send(Request("GET", "/x")).body == b"direct"


def test_a_file_is_sent_from_its_start_again_where_the_registry_is_busy() -> None:
    with speaking(said(status="503 Busy"), said()) as server:
        body = io.BytesIO(b"rows")
        body.seek(2)

        response = transport(server.url).send(Request("PUT", "/x", {"Content-Length": "4"}, body))

    assert response.status == 200
    assert server.heard[1].startswith(b"rowsPUT /x")  # what came behind the first head, and the second
    assert body.tell() == 4


def test_transports_in_a_cycle_close_their_connections_and_nobody_is_warned() -> None:
    gc.collect()  # what other tests have left
    with speaking(said()) as server:
        for _ in range(20):
            sender = transport(server.url)
            sender.send(Request("GET", "/x"))
            cycle: list[object] = [sender]
            cycle.append(cycle)  # as the traceback of an error makes one
        del sender, cycle

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            gc.collect()

    assert [one for one in told if issubclass(one.category, ResourceWarning)] == []
