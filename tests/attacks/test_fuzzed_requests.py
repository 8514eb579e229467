"""Requests made up from the OpenAPI document, valid and not: never a 500."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.core.result import Ok

from regalia_cli.demo.stage import FILES
from tests.support.registries import Home, home


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home(tmp_path_factory.mktemp("home"), files=FILES) as made:
        made.must("init", "acme/support-agent", "--registry", made.url)
        made.start()
        made.must("bundle", "create", "1.0.0")
        made.must("promote", "1.0.0", "--to", "prod")
        yield made
        assert '"status": 500' not in (made.folder / "registry.log").read_text()


def test_no_request_makes_the_registry_fail(fuzzed: Home) -> None:
    bearer = {"Authorization": f"Bearer {fuzzed.token}"}
    api = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json", headers=bearer)
    operations = [found.ok() for found in api.get_all_operations() if isinstance(found, Ok)]

    for operation in operations:
        if operation.path == "/v1/tokens/{token_id}":
            continue  # it might end the token that the others use

        @given(case=operation.as_strategy())
        @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def send(case: Case[Any]) -> None:
            response = case.call(headers=bearer, timeout=20)

            assert response.status_code not in {500, 502, 504}, (case.method, case.path, response.text)

        send()

    assert len(operations) > 25
