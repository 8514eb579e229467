"""TLS, mutual TLS and proxies that tunnel, against real sockets and throwaway authorities."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from regalia._transport import Request
from regalia._transport.http import HttpTransport, Way
from regalia.core.errors import ConfigurationError, UnavailableError

NAME = "registry.example.com"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    return str(tmp_path / "authority.pem")


def head_of(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        read = connection.recv(1)
        if not read:
            break
        head += read
    return head


@contextmanager
def listening(answer_one: "Answer") -> Iterator[int]:
    """Handle each connection in a thread of its own; gives the port."""
    server = socket.create_server(("127.0.0.1", 0))

    def handle(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            answer_one(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


class Answer:
    """What speaks on a plain connection."""

    def __init__(self, says: bytes = ANSWER) -> None:
        self.heard: list[bytes] = []
        self.says = says

    def __call__(self, connection: socket.socket) -> None:
        self.heard.append(head_of(connection))
        connection.sendall(self.says)


class Secure(Answer):
    """What speaks TLS with a certificate for a name; it may want one of its clients, too."""

    def __init__(
        self, authority: trustme.CA, name: str, *, wants_certificate: bool = False, says: bytes = ANSWER
    ) -> None:
        super().__init__(says)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(self.context)
        if wants_certificate:
            authority.configure_trust(self.context)
            self.context.verify_mode = ssl.CERT_REQUIRED

    def __call__(self, connection: socket.socket) -> None:
        with self.context.wrap_socket(connection, server_side=True) as secured:
            super().__call__(secured)


class Tunnel(Answer):
    """A proxy that opens every tunnel, to one place."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def __call__(self, connection: socket.socket) -> None:
        self.heard.append(head_of(connection))
        with socket.create_connection(("127.0.0.1", self.port)) as inner:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self._pour, args=(inner, connection), daemon=True)
            back.start()
            self._pour(connection, inner)
            back.join()

    def _pour(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while read := source.recv(65536):
                target.sendall(read)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def way(
    url: str,
    ca_bundle: str | None = None,
    certificate: tuple[str, str] | None = None,
    environment: dict[str, str] | None = None,
) -> Way:
    return Way(url, "regalia/test", lambda: "rgl_secret", environment or {}, ca_bundle, certificate)


def test_a_registry_of_a_named_authority_is_trusted(authority: trustme.CA, bundle: str) -> None:
    server = Secure(authority, "localhost")
    with listening(server) as port:
        sender = HttpTransport(way(f"https://localhost:{port}", bundle))

        assert sender.send(Request("GET", "/x")).body == b"{}"
    assert b"Authorization: Bearer rgl_secret" in server.heard[0]


@pytest.mark.parametrize(("name", "named"), [("localhost", False), ("elsewhere.example.com", True)])
def test_a_registry_of_nobody_or_of_another_name_is_not_spoken_to(
    authority: trustme.CA, bundle: str, name: str, *, named: bool
) -> None:
    server = Secure(authority, name)
    with listening(server) as port:
        sender = HttpTransport(way(f"https://localhost:{port}", bundle if named else None))

        with pytest.raises(UnavailableError, match="certificate is not trusted") as refused:
            sender.send(Request("GET", "/x"))
    assert "REGALIA_CA_BUNDLE" in refused.value.hint
    assert server.heard == []


def moved(url: str) -> bytes:
    return f"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\nLocation: {url}\r\n\r\n".encode()


def test_a_client_shows_its_certificate_to_its_registry_alone(
    authority: trustme.CA, bundle: str, tmp_path: Path
) -> None:
    mine = authority.issue_cert("agent@example.com")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "mine.pem")
    mine.private_key_pem.write_to_path(tmp_path / "mine.key")
    elsewhere = Secure(authority, "localhost", wants_certificate=True)
    with listening(elsewhere) as far:
        server = Secure(authority, "localhost", wants_certificate=True, says=moved(f"https://localhost:{far}/blob"))
        with listening(server) as port:
            certificate = str(tmp_path / "mine.pem"), str(tmp_path / "mine.key")
            sender = HttpTransport(way(f"https://localhost:{port}", bundle, certificate))

            with pytest.raises(UnavailableError):
                sender.send(Request("GET", "/x", timeout_s=20.0))
    assert (len(server.heard), elsewhere.heard) == (1, [])


def test_where_blobs_are_may_be_of_another_authority_than_the_registry(
    authority: trustme.CA, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = trustme.CA()
    other.cert_pem.write_to_path(tmp_path / "system.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    elsewhere = Secure(other, "localhost")
    with listening(elsewhere) as far:
        server = Secure(authority, "localhost", says=moved(f"https://localhost:{far}/blob"))
        with listening(server) as port:
            assert HttpTransport(way(f"https://localhost:{port}", bundle)).send(Request("GET", "/x")).body == b"{}"
    assert b"rgl_secret" not in elsewhere.heard[0]


def test_a_registry_with_tls_sends_nobody_to_a_server_without(authority: trustme.CA, bundle: str) -> None:
    elsewhere = Answer()
    with listening(elsewhere) as far:
        server = Secure(authority, "localhost", says=moved(f"http://localhost:{far}/blob"))
        with (
            listening(server) as port,
            closing(HttpTransport(way(f"https://localhost:{port}", bundle))) as sender,
            pytest.raises(UnavailableError, match="without TLS") as refused,
        ):
            sender.send(Request("GET", "/x"))
    assert ("redirect=" in refused.value.hint, elsewhere.heard) == (True, [])


def test_a_client_shows_its_certificate_where_one_is_wanted(authority: trustme.CA, bundle: str, tmp_path: Path) -> None:
    mine = authority.issue_cert("agent@example.com")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "mine.pem")
    mine.private_key_pem.write_to_path(tmp_path / "mine.key")
    server = Secure(authority, "localhost", wants_certificate=True)
    with listening(server) as port:
        shown = HttpTransport(
            way(f"https://localhost:{port}", bundle, (str(tmp_path / "mine.pem"), str(tmp_path / "mine.key")))
        )
        hidden = HttpTransport(way(f"https://localhost:{port}", bundle))

        assert shown.send(Request("GET", "/x")).status == 200
        with pytest.raises(UnavailableError):
            hidden.send(Request("GET", "/x", timeout_s=20.0))
    assert len(server.heard) == 1


def test_certificates_that_can_not_be_loaded_are_a_setting_to_correct(tmp_path: Path) -> None:
    sender = HttpTransport(way("https://localhost:1", str(tmp_path / "absent.pem")))

    with pytest.raises(ConfigurationError, match="certificates can't be loaded") as refused:
        sender.send(Request("GET", "/x"))
    assert "REGALIA_CA_BUNDLE" in refused.value.hint


def test_a_proxy_tunnels_tls_and_never_sees_the_token(authority: trustme.CA, bundle: str) -> None:
    server = Secure(authority, NAME)
    with listening(server) as port:
        proxy = Tunnel(port)
        with listening(proxy) as proxied:
            environment = {"https_proxy": f"http://ann:s%3Acret@127.0.0.1:{proxied}"}
            sender = HttpTransport(way(f"https://{NAME}", bundle, environment=environment))

            assert sender.send(Request("GET", "/x")).status == 200

    [asked] = proxy.heard
    assert asked.startswith(f"CONNECT {NAME}:443 HTTP/1".encode())
    assert b"Proxy-Authorization: Basic YW5uOnM6Y3JldA==" in asked  # ann:s:cret
    assert b"rgl_secret" not in asked
    assert b"Authorization: Bearer rgl_secret" in server.heard[0]
    assert b"Proxy-Authorization" not in server.heard[0]


def test_a_host_that_needs_no_proxy_is_reached_directly(authority: trustme.CA, bundle: str) -> None:
    server = Secure(authority, "localhost")
    with listening(server) as port:
        environment = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost"}

        assert (
            HttpTransport(way(f"https://localhost:{port}", bundle, environment=environment))
            .send(Request("GET", "/"))
            .body
        )
