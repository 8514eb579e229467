"""The documented route of a resolve, and the plain ASGI path that answers in its place: the same bytes."""

import asyncio
from collections.abc import Iterator

import pytest
from httpx import ASGITransport, AsyncClient, Response

from regalia_cli.demo.stage import FILES
from regalia_registry.bootstrap.web import make_web
from regalia_registry.http import front
from regalia_registry.settings import load_settings
from tests.support.registries import Home, home

CHANNEL = "/v1/apps/acme/support-agent/channels/prod/resolve"
BUNDLE = "/v1/apps/acme/support-agent/bundles/1.0.0/resolve"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        made.must("bundle", "create", "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        yield made


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (CHANNEL, {}),
        (f"{CHANNEL}?root=0", {}),
        (f"{CHANNEL}?root=1&have=sha256:{'0' * 64}", {}),
        (f"{CHANNEL}?root=minus", {}),
        (f"{CHANNEL}?have=nothing", {}),
        (BUNDLE, {}),
        (f"{BUNDLE}?root=1", {}),
        (CHANNEL.replace("prod", "absent"), {}),
        (CHANNEL.replace("acme", "other"), {}),
        (CHANNEL, {"authorization": "Bearer rgl_unknown"}),
        (CHANNEL, {"if-none-match": "etag"}),
        (CHANNEL, {"regalia-instance": "a1", "regalia-serves": f"1.7 sha256:{'0' * 64}"}),
        (CHANNEL, {"regalia-instance": "../a1\x00", "regalia-serves": "everything"}),
        (CHANNEL, {"regalia-instance": "a1", "if-none-match": "etag"}),
        (CHANNEL.replace("prod", f"prod@sha256:{'0' * 64}"), {}),
        (CHANNEL.replace("prod", "prod@1.0.0"), {}),
    ],
)
def test_both_answer_the_same_bytes(
    released: Home, path: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_web(load_settings(data=released.folder / ".local/share/regalia")).app

    def get(asked: dict[str, str]) -> Response:
        async def answer() -> Response:
            async with AsyncClient(transport=ASGITransport(service), base_url=released.url) as client:
                return await client.get(path, headers=asked)

        return asyncio.run(answer())

    asked = {"authorization": f"Bearer {released.token}", "x-request-id": "same", **headers}
    if headers.get("if-none-match"):
        asked["if-none-match"] = get(asked).headers["etag"]

    one = get(asked)
    monkeypatch.setattr(front, "is_resolve", lambda _: False)  # the plain path steps aside
    other = get(asked)

    assert (one.status_code, one.content, dict(one.headers)) == (other.status_code, other.content, dict(other.headers))
