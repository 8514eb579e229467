"""Vectors of what is signed about bundles: release statements, channel pointers and freshness."""

from tests.vectors.roots import CHANNEL, FRESHNESS, LOG, RELEASE, SPARE, delegation, root, sealed
from tests.vectors.signing import STATEMENT, Document, Json, VectorKey, base64_of, changed, envelope, save, sha256, text

ABOUT = (
    "Under `root`, is `bytes` the `document` of `application` (and `channel`; for a release, of `bundle` and "
    "`version`; for a freshness, of `pointer`)? `error` is the code expected, null where it is. Where `after` "
    "is there, the pointer is then held against that remembered one: `order` is newer, same or older."
)
FRESHNESS_TYPE = "application/vnd.regalia.freshness.v1+json"
BUNDLE, OTHER = sha256(b"bundle"), sha256(b"other bundle")
TWO_ALGORITHMS: Document = {"sha256": BUNDLE, "sha512": "0" * 128}
SHA512: Document = {"sha512": "0" * 128}


def statement(predicate_type: str, **predicate: Json) -> Document:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "acme/support-agent", "digest": {"sha256": BUNDLE}}],
        "predicateType": predicate_type,
        "predicate": {"trustDomain": "acme-7f3a9c2e", "application": "acme/support-agent", **predicate},
    }


RELEASED = statement("urn:regalia:release:v1", version="2.3.1", issuedAt="2026-03-15T12:00:00Z")
POINTED = statement(
    "urn:regalia:channel-pointer:v1",
    channel="prod",
    epoch=1,
    sequence=1773576000,
    move="promote",
    reason="CHG-7",
    issuedAt="2026-03-15T12:00:00Z",
    expires="2026-06-13T12:00:00Z",
    collections=[],
    fallbacks=[f"sha256:{OTHER}"],
)
PLACES: list[Json] = [
    {"slot": f"snapshots/{name}", "snapshot": f"sha256:{OTHER}", "provider": "p", "target": "t", "collection": name}
    for name in ("faq", "kb")
]


def fresh(named: Document = POINTED, /, **changes: Json) -> Document:
    document: Document = {
        "trustDomain": "acme-7f3a9c2e",
        "application": "acme/support-agent",
        "channel": "prod",
        "pointer": {"epoch": 1, "sequence": 1773576000, "digest": {"sha256": sha256(text(named))}},
        "rootVersion": 1,
        "revocationsVersion": 0,
        "issuedAt": "2026-03-15T12:00:00Z",
        "expires": "2026-03-16T12:00:00Z",
    }
    return changed(document, {path.replace("__", "."): value for path, value in changes.items()})


def pointer(**paths: Json) -> bytes:
    predicate = {f"predicate.{path}": value for path, value in paths.items()}
    return envelope(text(changed(POINTED, predicate)), STATEMENT, [CHANNEL])


def about(document: str, name: str, body: bytes, error: str | None = "verification_failed", **more: Json) -> Document:
    asked: Document = {"application": "acme/support-agent"}
    if document == "release":
        asked |= {"bundle": f"sha256:{BUNDLE}", "version": "2.3.1"}
    else:
        asked |= {"channel": "prod"}
    if document == "freshness":
        asked |= {"pointer": base64_of(pointer())}
    return {
        "name": f"{document}: {name}",
        "document": document,
        **asked,
        "bytes": base64_of(body),
        "error": error,
        **more,
    }


def release(name: str, error: str | None = "verification_failed", key: VectorKey = RELEASE, **paths: Json) -> Document:
    """Change a good release statement; "__" stands for a dot in a path, and for the predicate in front of others."""
    document = changed(RELEASED, _paths(paths))
    return about("release", name, envelope(text(document), STATEMENT, [key]), error)


def point(name: str, error: str | None = "verification_failed", key: VectorKey = CHANNEL, **paths: Json) -> Document:
    return about("pointer", name, envelope(text(changed(POINTED, _paths(paths))), STATEMENT, [key]), error)


def freshness(
    name: str, error: str | None = "verification_failed", key: VectorKey = FRESHNESS, **paths: Json
) -> Document:
    return about("freshness", name, envelope(text(fresh(**paths)), FRESHNESS_TYPE, [key]), error)


def _paths(paths: dict[str, Json]) -> dict[str, Json]:
    tops = ("_type", "subject", "predicateType", "predicate")
    spelled = {
        path.replace("__", ".") if not path.startswith("_type") else path: value for path, value in paths.items()
    }
    return {path if path.split(".")[0] in tops else f"predicate.{path}": value for path, value in spelled.items()}


def vectors() -> list[Document]:
    return [*_releases(), *_subjects(), *_versions_and_names(), *_pointers(), *_places(), *_orders(), *_freshness()]


def _releases() -> list[Document]:
    uri: Document = {"uri": "https://git.example/a", "digest": {"gitCommit": "0" * 40}}
    twice = text(RELEASED).replace(b'"version":"2.3.1"', b'"version":"2.3.0","version":"2.3.1"')
    return [
        release("good", None),
        release("with its source", None, source=uri),
        release("unknown fields and gates", None, gates=[], later=1, subject__0__later=1),
        release("signed by the channel's key", "bad_signature", CHANNEL),
        release("signed by a key that may nothing", "bad_signature", SPARE),
        release("predicate under the pointer's type", predicateType="urn:regalia:channel-pointer:v1"),
        release("predicate under a later type", predicateType="urn:regalia:release:v2"),
        release("statement of another version", _type="https://in-toto.io/Statement/v0.1"),
        about("release", "a pointer", envelope(text(POINTED), STATEMENT, [RELEASE])),
        about("release", "a freshness", envelope(text(fresh()), FRESHNESS_TYPE, [RELEASE])),
        about("release", "payload type json", envelope(text(RELEASED), "application/json", [RELEASE])),
        about("release", "payload is no json", envelope(b"released", STATEMENT, [RELEASE])),
        about("release", "payload is an array", envelope(b"[]", STATEMENT, [RELEASE])),
        about("release", "version twice", envelope(twice, STATEMENT, [RELEASE])),
        about("release", "no envelope", text(RELEASED)),
        release("predicate is a text", predicate="released"),
        release("predicate is a list", predicate=[]),
        release("no predicate", predicate="absent"),
        release("another application's", subject__0__name="acme/billing", application="acme/billing"),
        release("another application in the predicate", application="acme/billing"),
        release("another application in the subject", subject__0__name="acme/billing"),
        release("another trust domain", trustDomain="evil-7f3a9c2e"),
        release("another version", version="2.3.0"),
        release("no issue time", issuedAt="absent"),
        release("issue time with an offset", issuedAt="2026-03-15T12:00:00+00:00"),
        release("issue time true", issuedAt=True),
        release("source without a commit", source={"uri": "https://git.example/a", "digest": {}}),
    ]


def _subjects() -> list[Document]:
    subject: Document = {"name": "acme/support-agent", "digest": {"sha256": BUNDLE}}
    digests: dict[str, Json] = {
        "in upper case": BUNDLE.upper(),
        "one digit short": BUNDLE[:-1],
        "one digit long": BUNDLE + "0",
        "with a new line": BUNDLE + "\n",
        "with its algorithm": f"sha256:{BUNDLE}",
        "with a path": "../" + BUNDLE[3:],
        "with a digit of another script": "\u0661" + BUNDLE[1:],
        "empty": "",
        "a number": 7,
    }
    return [
        release("another bundle", subject__0__digest={"sha256": OTHER}),
        release("no subject", subject=[]),
        release("two subjects", subject=[subject, {**subject, "digest": {"sha256": OTHER}}]),
        release("one subject twice", subject=[subject, subject]),
        release("subject is an object", subject=subject),
        release("two algorithms of which one is right", subject__0__digest=TWO_ALGORITHMS),
        release("another algorithm", subject__0__digest=SHA512),
        release("no digest", subject__0__digest={}),
        *(release(f"digest {name}", subject__0__digest={"sha256": digest}) for name, digest in digests.items()),
    ]


def _versions_and_names() -> list[Document]:
    versions = ["1.2", "v1.2.3", "01.2.3", "1.2.3-01", "1.2.3+build", "1.2.3-a+b+c", "9007199254740992.0.0", "1.2.3\n"]
    names = [
        "../support-agent", "acme//support-agent", "/acme/support-agent", "acme\\support-agent", "Acme/support-agent",
        "acme/con\u0307", "acme/a..b", "acme/-a", "acme/a/b", "prompt/support-agent", "acme", "acme/" + "a" * 65,
    ]  # fmt: skip
    return [
        *(release(f"version {version!r}", version=version) for version in versions),
        release("version a number", version=2),
        *(release(f"name {name!r}", subject__0__name=name, application=name) for name in names),
    ]


def _pointers() -> list[Document]:
    return [
        point("good", None),
        point("first of its channel, without fallbacks", None, fallbacks=[]),
        point("previous named", None, previous={"sha256": OTHER}),
        point("restored by a channel key", None, move="restore"),
        point("expired long ago", None, issuedAt="2001-01-01T00:00:00Z", expires="2001-01-02T00:00:00Z"),
        point("signed by the release key", "bad_signature", RELEASE),
        point("signed by the freshness key", "bad_signature", FRESHNESS),
        point("signed by the restore role", "unsupported", base={"sha256": OTHER}, move="restore"),
        about("pointer", "a release statement", envelope(text(RELEASED), STATEMENT, [CHANNEL])),
        point("staging's", channel="staging"),
        point("another application's", subject__0__name="acme/billing", application="acme/billing"),
        point("another trust domain", trustDomain="evil-7f3a9c2e"),
        point("channel in upper case", channel="Prod"),
        point("channel with a new line", channel="prod\n"),
        point("epoch 0", epoch=0),
        point("epoch that the root doesn't have", epoch=2),
        point("epoch true", epoch=True),
        point("sequence 0", sequence=0),
        point("sequence negative", sequence=-1),
        point("sequence true", sequence=True),
        point("sequence 1.0", sequence=1.0),
        point("sequence a text", sequence="7"),
        point("sequence 2^53", sequence=2**53),
        point("unknown move", move="teleport"),
        point("no move", move="absent"),
        point("reason of 201 characters", reason="r" * 201),
        point("no reason", reason="absent"),
        point("expires when it is issued", expires="2026-03-15T12:00:00Z"),
        point("expires before it is issued", expires="2026-03-14T12:00:00Z"),
        point("previous with two algorithms", previous=TWO_ALGORITHMS),
        point("previous with another algorithm", previous=SHA512),
        point("previous is null", previous=None),
        point("9 fallbacks", fallbacks=[f"sha256:{OTHER}"] * 9),
        point("fallback without its algorithm", fallbacks=[OTHER]),
        point("fallback of another algorithm", fallbacks=["sha512:" + "0" * 128]),
        point("no fallbacks field", fallbacks="absent"),
        point("no collections field", collections="absent"),
    ]


def _places() -> list[Document]:
    place = PLACES[0]
    assert isinstance(place, dict)
    untargeted: Document = {name: value for name, value in place.items() if name != "target"}
    return [
        point("two places", None, collections=PLACES),
        point("places not sorted", collections=PLACES[::-1]),
        point("one slot placed twice", collections=[place, place]),
        point("a prompt placed", collections=[{**place, "slot": "prompts/kb"}]),
        point("place without a target", collections=[untargeted]),
        point("place with a malformed snapshot", collections=[{**place, "snapshot": "kb"}]),
    ]


def _orders() -> list[Document]:
    return [
        about("pointer", "later", pointer(sequence=1773576001), None, after=base64_of(pointer()), order="newer"),
        about("pointer", "again", pointer(), None, after=base64_of(pointer()), order="same"),
        about("pointer", "rolled back", pointer(sequence=1773575999), None, after=base64_of(pointer()), order="older"),
        about("pointer", "one sequence, two contents", pointer(reason="x"), "equivocation", after=base64_of(pointer())),
    ]


def _freshness() -> list[Document]:
    other = changed(POINTED, {"predicate.reason": "x"})
    return [
        freshness("good", None),
        freshness("expired long ago", None, issuedAt="2001-01-01T00:00:00Z", expires="2001-01-02T00:00:00Z"),
        freshness("signed by the channel's key", "bad_signature", CHANNEL),
        freshness("signed by the log's key", "bad_signature", LOG),
        about("freshness", "of another pointer", envelope(text(fresh(other)), FRESHNESS_TYPE, [FRESHNESS])),
        about("freshness", "payload type of a statement", envelope(text(fresh()), STATEMENT, [FRESHNESS])),
        freshness("another sequence", pointer__sequence=1773576001),
        freshness("another epoch", pointer__epoch=2),
        freshness("two algorithms", pointer__digest=TWO_ALGORITHMS),
        freshness("another channel", channel="staging"),
        freshness("another application", application="acme/billing"),
        freshness("another trust domain", trustDomain="evil-7f3a9c2e"),
        freshness("demands revocations", "unsupported", revocationsVersion=1),
        freshness("revocations true", revocationsVersion=True),
        freshness("revocations negative", revocationsVersion=-1),
        freshness("root version 0", rootVersion=0),
        freshness("no expiry", expires="absent"),
        freshness("no pointer", pointer="absent"),
    ]


def make() -> None:
    """Write statements.json."""
    delegations: list[Json] = [
        delegation("release", RELEASE),
        delegation("channel", CHANNEL),
        delegation("freshness", FRESHNESS),
        delegation("log", LOG),
    ]
    save("statements.json", ABOUT, vectors(), root=base64_of(sealed(root(delegations=delegations))))
