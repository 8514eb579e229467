"""What is signed about bundles: each value writes the payload that it reads back from."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core import times
from regalia.core.digest import Digest
from regalia.core.dsse import Envelope
from regalia.core.errors import DocumentError, InvalidError, TooLargeError, UnsupportedError
from regalia.core.fields import Fields
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.statements import (
    FRESHNESS_PAYLOAD,
    STATEMENT_PAYLOAD,
    ChannelPointer,
    Freshness,
    Move,
    Place,
    ReleaseStatement,
    Source,
)

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
SEGMENTS = st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True)
NAMES = SEGMENTS.map("acme-{}".format)
APPLICATIONS = st.builds(ApplicationName, NAMES, SEGMENTS)
DIGESTS = st.binary(max_size=4).map(Digest.of)
NUMBERS = st.integers(1, 2**53 - 1)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)).map(  # noqa: DTZ001 # made aware in the next line
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
SPANS = st.timedeltas(timedelta(seconds=1), timedelta(days=4000)).map(
    lambda span: timedelta(days=span.days, seconds=max(1, span.seconds))
)
PLACES = st.lists(
    st.builds(
        Place, SEGMENTS.map(lambda name: Slot(Kind.SNAPSHOT, name)), DIGESTS, TEXTS, TEXTS, TEXTS, st.none() | TEXTS
    ),
    max_size=3,
    unique_by=lambda place: place.slot,
).map(lambda places: tuple(sorted(places, key=lambda place: str(place.slot))))
RELEASES = st.builds(
    ReleaseStatement,
    NAMES,
    APPLICATIONS,
    st.just("2.3.1"),
    DIGESTS,
    MOMENTS,
    st.none() | st.builds(Source, TEXTS, TEXTS),
)
FRESHNESSES = st.builds(
    Freshness, NAMES, APPLICATIONS, SEGMENTS, NUMBERS, NUMBERS, DIGESTS, NUMBERS, st.just(0), MOMENTS, MOMENTS
)


@st.composite
def pointers(draw: st.DrawFn) -> ChannelPointer:
    issued_at = draw(MOMENTS)
    return ChannelPointer(
        trust_domain=draw(NAMES),
        application=draw(APPLICATIONS),
        channel=draw(SEGMENTS),
        epoch=draw(NUMBERS),
        sequence=draw(NUMBERS),
        bundle=draw(DIGESTS),
        move=draw(st.sampled_from(Move)),
        reason=draw(TEXTS),
        issued_at=issued_at,
        expires=issued_at + draw(SPANS),
        previous=draw(st.none() | DIGESTS),
        collections=draw(PLACES),
        fallbacks=tuple(draw(st.lists(DIGESTS, max_size=8))),
    )


def unsigned(payload: bytes, payload_type: str = STATEMENT_PAYLOAD) -> Envelope:
    return Envelope(payload_type, payload, ())


@given(RELEASES)
def test_release_statements_read_back(release: ReleaseStatement) -> None:
    assert ReleaseStatement.of(unsigned(release.payload())) == release


@given(pointers())
def test_pointers_read_back(pointer: ChannelPointer) -> None:
    assert ChannelPointer.of(unsigned(pointer.payload())) == pointer


@given(FRESHNESSES)
def test_freshness_reads_back(freshness: Freshness) -> None:
    assert Freshness.of(unsigned(freshness.payload(), FRESHNESS_PAYLOAD)) == freshness


@given(pointers(), RELEASES)
def test_a_statement_is_never_read_as_another(pointer: ChannelPointer, release: ReleaseStatement) -> None:
    with pytest.raises(DocumentError):
        ChannelPointer.of(unsigned(release.payload()))
    with pytest.raises(DocumentError):
        ReleaseStatement.of(unsigned(pointer.payload()))
    with pytest.raises(DocumentError):
        Freshness.of(unsigned(pointer.payload()))


@given(pointers(), st.data())
def test_a_changed_byte_is_read_or_refused(pointer: ChannelPointer, data: st.DataObject) -> None:
    payload = pointer.payload()
    place = data.draw(st.integers(0, len(payload) - 1))
    changed = payload[:place] + bytes([data.draw(st.integers(0, 255))]) + payload[place + 1 :]

    with suppress(InvalidError, UnsupportedError):
        assert ChannelPointer.of(unsigned(changed)).order >= (1, 1)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"reason": "r" * 201}, TooLargeError),
        ({"fallbacks": (Digest.of(b""),) * 9}, TooLargeError),
        ({"expires": NOW}, DocumentError),
    ],
    ids=["reason", "fallbacks", "expires"],
)
def test_a_pointer_that_no_reader_would_take_is_never_made(
    changes: dict[str, object], error: type[InvalidError]
) -> None:
    fields: dict[str, object] = {
        "trust_domain": "acme-1",
        "application": ApplicationName("acme", "agent"),
        "channel": "prod",
        "epoch": 1,
        "sequence": 1,
        "bundle": Digest.of(b""),
        "move": Move.PROMOTE,
        "reason": "",
        "issued_at": NOW,
        "expires": NOW + timedelta(days=1),
    }

    with pytest.raises(error):
        ChannelPointer(**{**fields, **changes})  # type: ignore[arg-type] # the table is of mixed types


@given(MOMENTS)
def test_times_parse_and_print(moment: datetime) -> None:
    assert times.parse(times.write(moment), what="it") == moment


@given(st.datetimes(timezones=st.timezones()))
def test_a_time_of_any_zone_is_written_in_whole_seconds_of_utc(moment: datetime) -> None:
    if not datetime(2, 1, 1, tzinfo=UTC) < moment < datetime(9998, 1, 1, tzinfo=UTC):
        return

    assert times.parse(times.write(moment), what="it") == times.whole_second(moment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-15",
        "2026-03-15T12:00:00",
        "2026-03-15T12:00:00z",
        "2026-03-15t12:00:00Z",
        "2026-03-15 12:00:00Z",
        "2026-03-15T12:00:00+00:00",
        "2026-03-15T12:00:00.5Z",
        "2026-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-03-15T24:00:00Z",
        "2026-03-15T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "20260315T120000Z",
        "2026-03-15T12:00:00Z\n",
        "٢٠٢٦-03-15T12:00:00Z",
    ],
)
def test_another_spelling_of_a_time_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="it is"):
        times.parse(text, what="it")


FIELDS = Fields(
    {"text": "t", "number": 7, "yes": True, "float": 1.0, "null": None, "list": ["a"], "object": {}}, "the document"
)


@pytest.mark.parametrize("name", ["number", "yes", "float", "null", "list", "object", "absent"])
def test_what_is_no_text_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(DocumentError, match=f'"{name}"'):
        FIELDS.text(name)


@pytest.mark.parametrize("name", ["text", "yes", "float", "null", "list", "object", "absent"])
def test_what_is_no_integer_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(DocumentError, match=f'"{name}"'):
        FIELDS.integer(name)


@pytest.mark.parametrize("name", ["text", "number", "float", "null", "list", "object", "absent"])
def test_what_is_no_boolean_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(DocumentError, match=f'"{name}"'):
        FIELDS.boolean(name)


def test_bounds_and_caps_belong_to_the_range() -> None:
    assert FIELDS.integer("number", minimum=7, maximum=7) == 7
    assert FIELDS.text("text", max_characters=1) == "t"
    assert FIELDS.texts("list", maximum=1) == ("a",)
    with pytest.raises(DocumentError, match="expected 8 to"):
        FIELDS.integer("number", minimum=8)
    with pytest.raises(TooLargeError):
        FIELDS.texts("list", maximum=0)


def test_a_null_is_no_absent_field() -> None:
    with pytest.raises(DocumentError):
        FIELDS.optional("null", FIELDS.text)

    assert FIELDS.optional("absent", FIELDS.text) is None
