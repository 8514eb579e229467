"""The port of the metrics: plain HTTP beside the service, in a thread, without a token; see decision 0018."""

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import make_wsgi_app
from prometheus_client.registry import CollectorRegistry

_Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 5  # seconds for a request to arrive

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a scrape every few seconds is nobody's news."""


def expose(listening: socket.socket, registry: CollectorRegistry) -> None:
    """Answer `/metrics` on a socket that other processes may listen on as well, until this process ends."""
    listening.setblocking(False)  # noqa: FBT003 # a connection that another process took is not waited for
    server = _Server(("", 0), _Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    server.server_name, server.server_port = listening.getsockname()[:2]
    server.setup_environ()
    server.set_app(_only_metrics(make_wsgi_app(registry)))
    threading.Thread(target=server.serve_forever, args=(60.0,), name="metrics", daemon=True).start()


def _only_metrics(page: _Application) -> _Application:
    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            return page(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"the metrics are at /metrics\n"]

    return answer
