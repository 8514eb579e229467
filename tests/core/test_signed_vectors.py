"""The committed vectors of signed documents: each good one is taken, each broken one is refused with its code."""

import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import pytest

from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.errors import RegaliaError
from regalia.core.keys import PublicKey
from regalia.core.names import ApplicationName
from regalia.core.trust import Root, TrustedRoot
from regalia.core.verification import VerifiedPointer, compare, verify_freshness, verify_pointer, verify_release


class Vector(TypedDict):
    name: str
    error: str | None


class EnvelopeVector(Vector):
    bytes: str
    trusted: list[str]
    threshold: int


class RootVector(Vector):
    trusted: str
    chain: list[str]
    version: int


class StatementVector(Vector, total=False):
    document: str
    application: str
    channel: str
    bundle: str
    version: str
    pointer: str
    bytes: str
    after: str
    order: str


class KeyOfVectors(TypedDict):
    keyid: str
    scheme: str
    public: str


def _load(name: str) -> Mapping[str, object]:
    path = Path(__file__).parents[1] / "vectors" / name
    loaded: Mapping[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


_ENVELOPES, _ROOTS, _STATEMENTS = _load("envelopes.json"), _load("roots.json"), _load("statements.json")
ENVELOPES: list[EnvelopeVector] = _ENVELOPES["vectors"]  # type: ignore[assignment] # JSON by its script's types
ROOTS: list[RootVector] = _ROOTS["vectors"]  # type: ignore[assignment] # JSON by its script's types
STATEMENTS: list[StatementVector] = _STATEMENTS["vectors"]  # type: ignore[assignment] # JSON by its script's types
KEYS: dict[str, KeyOfVectors] = _ENVELOPES["keys"]  # type: ignore[assignment] # JSON by its script's types
RING = {key["keyid"]: PublicKey.parse(key["public"]) for key in KEYS.values()}


def name_of(vector: Vector) -> str:
    return vector["name"]


@pytest.fixture(scope="module")
def root() -> Root:
    return TrustedRoot.bootstrap(b64decode(str(_STATEMENTS["root"]))).root


@pytest.mark.parametrize("name", KEYS)
def test_a_key_has_the_id_and_the_scheme_that_its_vectors_say(name: str) -> None:
    key = PublicKey.parse(KEYS[name]["public"])

    assert (key.keyid, key.scheme) == (KEYS[name]["keyid"], KEYS[name]["scheme"])


@pytest.mark.parametrize("vector", ENVELOPES, ids=name_of)
def test_envelope(vector: EnvelopeVector) -> None:
    assert _outcome_of_envelope(vector) == vector["error"]


@pytest.mark.parametrize("vector", ROOTS, ids=name_of)
def test_root(vector: RootVector) -> None:
    assert _outcome_of_root(vector) == (vector["error"] or vector["version"])


@pytest.mark.parametrize("vector", STATEMENTS, ids=name_of)
def test_statement(vector: StatementVector, root: Root) -> None:
    assert _outcome_of_statement(vector, root) == (vector["error"] or vector.get("order"))


@pytest.mark.parametrize("vector", [vector for vector in STATEMENTS if vector["error"]], ids=name_of)
def test_a_refused_statement_names_its_step(vector: StatementVector, root: Root) -> None:
    with pytest.raises(RegaliaError) as caught:
        _verify_statement(vector, root)

    assert vector["error"] == "unsupported" or getattr(caught.value, "step", "") == vector["document"]


def _outcome_of_envelope(vector: EnvelopeVector) -> str | None:
    trusted = [KEYS[name]["keyid"] for name in vector["trusted"]]
    try:
        envelope = Envelope.parse(b64decode(vector["bytes"]), what="the vector")
        envelope.require(RING, trusted, threshold=vector["threshold"], step="vector")
    except RegaliaError as error:
        return error.code
    return None


def _outcome_of_root(vector: RootVector) -> str | int:
    try:
        start = TrustedRoot.bootstrap(b64decode(vector["trusted"]))
        return start.walk([b64decode(step) for step in vector["chain"]]).root.version
    except RegaliaError as error:
        return error.code


def _outcome_of_statement(vector: StatementVector, root: Root) -> str | None:
    try:
        return _verify_statement(vector, root)
    except RegaliaError as error:
        return error.code


def _verify_statement(vector: StatementVector, root: Root) -> str | None:
    body, application = b64decode(vector["bytes"]), ApplicationName.parse(vector["application"])
    if vector["document"] == "release":
        bundle = Digest.parse(vector["bundle"])
        verify_release(body, root=root, application=application, bundle=bundle, version=vector["version"])
    elif vector["document"] == "freshness":
        verify_freshness(body, root=root, pointer=_pointer(vector["pointer"], vector, root))
    elif "after" in vector:
        return compare(_pointer(vector["bytes"], vector, root), _pointer(vector["after"], vector, root).seen).value
    else:
        _pointer(vector["bytes"], vector, root)
    return None


def _pointer(encoded: str, vector: StatementVector, root: Root) -> VerifiedPointer:
    application = ApplicationName.parse(vector["application"])
    return verify_pointer(b64decode(encoded), root=root, application=application, channel=vector["channel"])
