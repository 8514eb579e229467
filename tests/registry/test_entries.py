"""Audit entries: final bytes that name no person."""

import hashlib
import json
from dataclasses import replace

import pytest

from regalia_registry.domain.entries import DeploymentRecord, Entry, Event
from tests.support.records import NOW, deployment, digest

ENTRY = Entry(
    id="0198",
    time=NOW,
    actor="actor-1",
    request="request-1",
    salt=b"salt",
    event=Event("bundle.held", "acme/support-agent@2.3.1", after=digest("it"), texts={"reason": "Jane said so"}),
)


def deployed(record: DeploymentRecord) -> Entry:
    return replace(ENTRY, event=Event("channel.moved", "acme/support-agent:prod", record=record))


def test_equal_entries_have_equal_bytes() -> None:
    assert ENTRY.body() == replace(ENTRY).body()


def test_an_entry_says_who_did_what_to_what_when() -> None:
    written = json.loads(ENTRY.body())

    assert {name: written[name] for name in ("v", "id", "time", "event", "actor", "object", "request", "after")} == {
        "v": 1,
        "id": "0198",
        "time": "2026-03-15T12:00:00Z",
        "event": "bundle.held",
        "actor": "actor-1",
        "object": "acme/support-agent@2.3.1",
        "request": "request-1",
        "after": str(digest("it")),
    }


def test_free_text_is_in_an_entry_as_a_salted_hash_only() -> None:
    hashed = hashlib.sha256(b"salt" + b"Jane said so").hexdigest()

    assert json.loads(ENTRY.body())["private"] == {"reason": hashed}
    assert b"Jane" not in ENTRY.body()


def test_a_deployment_record_holds_the_facts_and_no_approvers_name() -> None:
    body = deployed(deployment()).body()

    record = json.loads(body)["record"]
    assert {"environment", "version", "git_sha", "approval_ticket", "changes", "rollback_plan"} <= set(record)
    assert record["approver"] == hashlib.sha256(b"salt" + b"joe@company.com").hexdigest()
    assert b"joe@company.com" not in body


@pytest.mark.parametrize("success", [True, False], ids=["done", "refused"])
def test_a_deployment_record_says_whether_it_was_done(*, success: bool) -> None:
    assert json.loads(deployed(deployment(success=success)).body())["record"]["success"] is success


def test_what_is_not_known_is_left_out() -> None:
    record = replace(deployment(), git_sha=None, approval_ticket=None, approver=None)

    assert not {"git_sha", "approval_ticket", "approver"} & set(json.loads(deployed(record).body())["record"])
