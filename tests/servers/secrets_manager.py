"""AWS Secrets Manager as boto3 sees it: `GetSecretValue` of its JSON 1.1 protocol, over a real socket."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Secrets:
    """What is kept, and how it is refused: `refusals` maps a secret to a status and an error's code."""

    texts: Mapping[str, str] = field(default_factory=dict)
    binaries: Mapping[str, bytes] = field(default_factory=dict)
    refusals: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, identity: str) -> tuple[int, dict[str, str]]:
        self.asked.append(identity)
        if identity in self.texts:
            return 200, {"Name": identity, "SecretString": self.texts[identity]}
        if identity in self.binaries:
            return 200, {"Name": identity, "SecretBinary": base64.b64encode(self.binaries[identity]).decode()}
        status, code = self.refusals.get(identity, (400, "ResourceNotFoundException"))
        return status, {"__type": code, "Message": "no"}

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


class _Handler(BaseHTTPRequestHandler):
    secrets: Secrets

    def do_POST(self) -> None:  # the library's name
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert self.headers["x-amz-target"] == "secretsmanager.GetSecretValue"
        assert self.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        status, answer = self.secrets.answer(body["SecretId"])
        written = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(secrets: Secrets) -> Iterator[Secrets]:
    """Answer on a free port."""
    handler = type("Handler", (_Handler,), {"secrets": secrets})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        secrets.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield secrets
        finally:
            server.shutdown()
            thread.join()
