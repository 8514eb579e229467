"""The canary of a snapshot: made when it is taken, asked of the index that it is loaded into."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from regalia.core import oci
from regalia.core.errors import ConflictError, DigestError, DocumentError, NotFoundError, RegaliaError, UnsupportedError
from regalia.core.oci import Descriptor
from regalia.core.strict_json import JsonObject, JsonValue, write
from regalia_registry.domain.snapshots.canary import (
    ANSWERS,
    MAX_CANARY,
    Neighbour,
    Question,
    Recall,
    are_enough,
    recall_of,
    surviving,
)
from regalia_registry.domain.snapshots.listing import Listing
from regalia_registry.domain.snapshots.schema import Family, Schema
from regalia_registry.ports.vectors import Provider
from regalia_registry.segments.build import Built
from regalia_registry.segments.canary import read_canary
from regalia_registry.segments.comparing import Comparison, Side, Sign
from regalia_registry.segments.nearest import choose_questions, measure
from regalia_registry.services.context import Bench, Ports
from regalia_registry.services.steps.snapshots import CANARY, OpenedSnapshot, SegmentFiles, fetched

TOLD = "dev.regalia.snapshot.canary"

_FEW_ROWS = 50_000  # so many are compared anew in a second
_ASKING_S = 2.0  # an engine without an index reads all rows for each question
_NOISE = 0.05  # what 640 answers may differ by between two good indexes
_UNREADABLE = (DocumentError, DigestError, NotFoundError)  # pushed by hand, damaged, gone
_LEAST = 0.9  # where the source's own is not known
_TYPE = "application/vnd.apache.parquet"


@dataclass(frozen=True, slots=True)
class Held:
    """A collection that a snapshot was loaded into, and the least recall that is asked of its index."""

    collection: str
    schema: Schema
    min_recall: float | None = None


def canary_of(
    ports: Ports, bench: Bench, newest: OpenedSnapshot | None, schema: Schema, built: Built
) -> tuple[Question, ...]:
    """Make the canary of what was just read; of the version before, only what is new since is compared.

    Raises:
        DocumentError: A stored segment is none.
        NotFoundError: A stored segment is gone.
    """
    folder = _made(bench.folder / "canary")
    files = SegmentFiles(ports, _made(folder / "segments"))

    def tell(rows: int) -> None:
        bench.tell({"step": "comparing with the canary", "rows": rows})

    before: tuple[Question, ...] = ()
    if newest is not None and newest.schema == schema and built.listing.count > _FEW_ROWS:
        with suppress(*_UNREADABLE):  # it is made anew
            before = _stored(ports, newest, folder / CANARY)
    if newest is not None and before:
        known = {segment.keys for segment in newest.listing.segments}
        fresh = Listing(tuple(one for one in built.listing.segments if one.keys not in known))
        if not _has_another(schema, fresh, before, built, files):
            left = surviving(before, _gone(newest, built, before, folder, files))
            found = measure(left, schema, fresh, built.tombstones, files.rows, tell)
            if are_enough(found, before):
                return tuple(one for one in found if one.is_whole)
    chosen = choose_questions(schema, built.listing, built.tombstones, files.rows)
    return tuple(measure(chosen, schema, built.listing, built.tombstones, files.rows, tell))


def asked_of_source(
    ports: Ports, bench: Bench, provider: Provider, collection: str, questions: Sequence[Question]
) -> tuple[Question, ...]:
    """Ask the source's own index; where it gives no answer the questions stay unasked, since a recall is no content."""
    found = list(questions)
    with suppress(RegaliaError):
        for number, question in _answered(ports, bench, provider, collection, questions):
            found[number] = question
    return tuple(found)


def canary_layer(questions: Sequence[Question], body: bytes) -> Descriptor:
    """Describe the layer, with the recall of the source's index, so that it is told without reading Parquet."""
    told = write(_told(questions)).decode()
    annotations = {TOLD: told} if len(told) <= oci.MAX_ANNOTATION else {}
    return Descriptor.of(body, _TYPE, **{oci.TITLE: CANARY}, **annotations)


def check_canary(ports: Ports, bench: Bench, snapshot: OpenedSnapshot, provider: Provider, held: Held) -> JsonObject:
    """Ask the index of a collection that a snapshot was loaded into; gives its recall, the source's, and warnings.

    Raises:
        ConflictError: A recall is below the least that was asked for, or can't be told.
    """
    warnings: list[JsonValue] = []
    questions: tuple[Question, ...] = ()
    try:
        questions = _stored(ports, snapshot, bench.folder / CANARY)
    except _UNREADABLE as error:  # nothing of the rows, which are proved
        warnings.append(f"its canary can't be read: {error.message}")
    metrics = {space.name: space.metric for space in held.schema.vectors}
    same = {space.name for space in snapshot.schema.vectors if metrics.get(space.name) == space.metric}
    mine = [one for one in questions if one.space in same and held.schema.family is not Family.FILES]
    found = [replace(one, found=None) for one in mine]
    try:
        for number, question in _answered(ports, bench, provider, held.collection, mine):
            found[number] = question
    except UnsupportedError as error:  # a vector whose index is left out
        warnings.append(f"its index was not asked: {error.message}")
    reached, before = recall_of(found), recall_of(mine)
    for name, recall in reached.items():
        _require_recall(name, recall, held.min_recall)
        warnings += _doubts(name, recall, before[name])
    if held.min_recall is not None and not reached:
        raise ConflictError(
            f"no recall of {held.min_recall:g} can be told: the snapshot has no canary for this engine",
            hint="take the snapshot again, or load it without --min-recall",
        )
    return {"recall": _told(found), "source_recall": _told(mine), "warnings": warnings}


def _answered(
    ports: Ports, bench: Bench, provider: Provider, collection: str, questions: Sequence[Question]
) -> Iterator[tuple[int, Question]]:
    """Ask an index for some seconds, the vectors by turns; gives what each question found, with its number."""
    deadline = ports.clock.monotonic() + _ASKING_S
    for done, number in enumerate(_by_turns(questions)):
        if ports.clock.monotonic() > deadline:
            return
        bench.tell({"step": "asking the canary", "questions": done, "of": len(questions)})
        question = questions[number]
        hits = provider.sink.search(collection, question.vector, space=question.space, limit=ANSWERS + 1)
        yield number, replace(question, found=question.count(Neighbour(hit.distance, hit.key) for hit in hits))


def _by_turns(questions: Sequence[Question]) -> list[int]:
    """Order the questions so that the first of each vector come first."""
    turns = dict.fromkeys((one.space for one in questions), 0)
    order = []
    for number, one in enumerate(questions):
        order.append((turns[one.space], number))
        turns[one.space] += 1
    return [number for _, number in sorted(order)]


def _told(questions: Sequence[Question]) -> JsonObject:
    counts = Counter(one.space for one in questions)
    return {
        name: {"questions": counts[name], "asked": recall.asked, "recall": recall.share}
        for name, recall in recall_of(questions).items()
    }


def _doubts(name: str, recall: Recall, before: Recall) -> list[JsonValue]:
    if recall.share is None:
        return []
    least = _LEAST if before.share is None else before.share - _NOISE
    if recall.share >= least:
        return []
    told = "" if before.share is None else f"; where it was taken, {before.share:.1%}"
    return [f"the index of {name} finds {recall.share:.1%} of the nearest rows{told}"]


def _require_recall(name: str, recall: Recall, least: float | None) -> None:
    if least is None or (recall.share is not None and recall.share >= least):
        return
    told = "was not asked" if recall.share is None else f"finds {recall.share:.1%} of the nearest rows"
    raise ConflictError(
        f"the index of {name} {told}, {least:.1%} was asked for",
        hint="build it finer where the snapshot is taken (hnsw: m, ef_construction), or ask for less: --min-recall",
    )


def _stored(ports: Ports, snapshot: OpenedSnapshot, path: Path) -> tuple[Question, ...]:
    """Read a version's canary; empty where it has none.

    Raises:
        DocumentError: It is none of this snapshot.
    """
    layer = snapshot.manifest.layer(CANARY)
    if layer is None:
        return ()
    if layer.size_bytes > MAX_CANARY:
        raise DocumentError(f"the canary has {layer.size_bytes} bytes, the cap is {MAX_CANARY}")
    return read_canary(fetched(ports, layer.digest, path), snapshot.schema)


def _gone(
    newest: OpenedSnapshot, built: Built, questions: Sequence[Question], folder: Path, files: SegmentFiles
) -> frozenset[bytes]:
    """Name those rows of a canary that the snapshot has no longer, or otherwise."""
    wanted = {key for one in questions for key in (one.key, *(near.key for near in one.near))}
    old, new = Side(newest.listing, newest.tombstones), Side(built.listing, built.tombstones)
    compared = Comparison(_made(folder / "parts"), old, new, files.keys_bytes)
    changes = compared.changes(lambda _: None)
    return frozenset(one.key for one in changes if one.sign is not Sign.ADDED and one.key in wanted)


def _has_another(schema: Schema, fresh: Listing, before: Sequence[Question], built: Built, files: SegmentFiles) -> bool:
    """Say whether there are rows with a vector that no row had before."""
    asked = {one.space for one in before}
    if asked == {space.name for space in schema.vectors}:
        return False
    return any(one.space not in asked for one in choose_questions(schema, fresh, built.tombstones, files.rows))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
