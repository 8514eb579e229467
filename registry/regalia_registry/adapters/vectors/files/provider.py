"""The provider: every file of a folder is a collection, and a load is a hidden folder until it is one whole file."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from regalia.core.errors import (
    ConfigurationError,
    ConflictError,
    InvalidNameError,
    NotFoundError,
    RegaliaError,
    UnsupportedError,
)
from regalia_registry.adapters.vectors.files.folder import Folder, Stamp, read_small, stamp_of
from regalia_registry.adapters.vectors.files.form import MAX_HEAD, Form, Found, Head
from regalia_registry.adapters.vectors.files.jsonl import JsonlForm
from regalia_registry.adapters.vectors.files.parquet import ParquetForm
from regalia_registry.adapters.vectors.files.searching import nearest
from regalia_registry.domain.operations import Holder
from regalia_registry.domain.snapshots.origin import Origin
from regalia_registry.domain.snapshots.rows import Row
from regalia_registry.domain.snapshots.schema import Schema
from regalia_registry.domain.snapshots.translation import Hosted, as_files
from regalia_registry.ports.vectors import Checked, CollectionEntry, Consistency, Description, EngineRight, Hit, Ledger

_FORMS: Mapping[str, Form] = {".parquet": ParquetForm(), ".jsonl": JsonlForm()}
_NAME = re.compile(r"[^./\0][^/\0]*\.(?:parquet|jsonl)\Z")
_MAX_NAME = 200  # bytes; file systems have 255, and a load adds to it
_MAX_PHYSICAL = 64  # bytes of what we make, which any file system and any tool keeps
_HEAD = "head.json"
_PART = re.compile(r"[0-9]{8}\Z")
_HASH = 8


class FileReading:
    """The rows of one file, or of the parts of a load that is not whole: what was open when it began."""

    consistency = Consistency.POINT_IN_TIME

    def __init__(self, files: Sequence[BinaryIO], form: Form, schema: Schema) -> None:
        """Read nothing yet."""
        self._files = files
        self._form = form
        self.schema = schema
        self._stamps = list(map(stamp_of, files))
        self._read = 0

    def batches(self) -> Iterator[Sequence[Row]]:
        """Read all rows."""
        self._read = 0
        for file in self._files:
            for rows in self._form.batches(file, self.schema):
                self._read += len(rows)
                yield rows

    def moved(self) -> int:
        """Count all rows where somebody wrote into the file; that another file took its name changes nothing."""
        return 0 if self._stamps == list(map(stamp_of, self._files)) else max(1, self._read)

    def unindexed(self) -> int:
        """Say that none is: every search looks at every row."""
        return 0


class FilesProvider:
    """A `Provider` over a folder; its ports are all itself."""

    def __init__(self, folder: Folder, holder: Holder) -> None:
        """Own the folder."""
        self._folder = folder
        self._holder = holder
        self._seen: dict[str, tuple[tuple[Stamp, ...], Found]] = {}
        self._keys: dict[str, tuple[tuple[Stamp, ...], NDArray[np.uint64]]] = {}

    @property
    def collections(self) -> "FilesProvider":
        """Itself."""
        return self

    @property
    def source(self) -> "FilesProvider":
        """Itself."""
        return self

    @property
    def sink(self) -> "FilesProvider":
        """Itself."""
        return self

    def physical_name(self, logical: str, suffix: str) -> str:
        """Name a Parquet file."""
        stem = f"{logical}_{suffix}"
        if len(stem.encode("utf-8")) > _MAX_PHYSICAL:
            raise InvalidNameError(f'"{stem}" is longer than {_MAX_PHYSICAL} bytes', hint="use a shorter name")
        return f"{stem}.parquet"

    def close(self) -> None:
        """Close the folder."""
        self._folder.close()

    def check(self) -> Checked:
        """Say what reads the files, and whether any can be made."""
        self._folder.names()
        is_writable = self._folder.is_writable()
        return Checked(
            f"files, pyarrow {pa.__version__}",
            () if is_writable else ("the folder can only be read: nothing can be loaded here",),
            rights=frozenset({EngineRight.READ, EngineRight.CREATE} if is_writable else {EngineRight.READ}),
            free_bytes=self._folder.free_bytes(),
        )

    def list(self) -> Sequence[CollectionEntry]:
        """List the files, and what is being loaded."""
        found: dict[str, CollectionEntry] = {}
        for name in self._folder.names():
            loading = _of_loading(name)
            if loading is not None and (inner := self._folder.find_folder(name)) is not None:
                with closing(inner):
                    found.setdefault(loading, _entry(loading, inner))
            elif _NAME.match(name) and (file := self._folder.find(name)) is not None:
                with file:
                    found[name] = _entry(name, file)
        return [found[name] for name in sorted(found)]

    def describe(self, name: str) -> Description:
        """Describe a file."""
        with self._opened(name) as files:
            found = self._look(name, files)
        return Description(found.schema, found.refusals, found.fidelity, found.head.origin)

    def hosted(self, schema: Schema) -> Hosted:
        """Say as which file a collection is held."""
        return as_files(schema)

    def create(self, name: str, schema: Schema, *, mark: str, origin: Origin | None = None) -> None:
        """Make a hidden folder that the load fills."""
        _require_name(name)
        _form_of(name).require(schema)
        there = self._mark_of(name)
        if there is None and not self._folder.has(name):
            self._make_loading(name, Head(schema, mark, origin))
            there = self._mark_of(name)
        if there != mark:
            raise ConflictError(f'the name "{name}" is taken', hint="choose another")

    def drop(self, name: str, *, mark: str) -> bool:
        """Remove a file of ours, and what is left of its load."""
        there = self._mark_of(name)
        if there not in {None, mark}:
            raise ConflictError(f'the collection "{name}" is not ours', hint="remove the file yourself")
        self._remove_begun(name)
        if there is None:
            return False
        self._folder.remove(name)
        self._folder.remove_folder(_loading_of(name))
        return True

    def writable(self, name: str) -> tuple[str, ...]:  # noqa: ARG002 # no name makes a difference
        """Name nothing: a reading is of one moment anyway."""
        return ()

    def thaw(self, name: str, parts: Collection[str]) -> None:
        """Do nothing: nobody is ever stopped."""

    @contextmanager
    def open(self, name: str, *, freeze: Collection[str] | None = None) -> Iterator[FileReading]:  # noqa: ARG002 # nobody else's file is locked
        """Open a file, or the parts that are there."""
        with self._opened(name) as files:
            found = self._look(name, files)
            if found.refusals:
                raise UnsupportedError(
                    f'"{name}" can\'t be a snapshot: {"; ".join(found.refusals)}', hint="reg collection show tells all"
                )
            yield FileReading(files, _form_of(name), found.schema)

    def load(
        self,
        name: str,
        schema: Schema,
        groups: Iterable[Sequence[Row]],
        *,
        ledger: Ledger,  # noqa: ARG002 # a part that has its name is whole
    ) -> Iterator[int]:
        """Write each group as a part that is whole or absent: an interrupted load goes on where it was."""
        inner = self._folder.find_folder(_loading_of(name))
        with ExitStack() as stack:
            done = set()
            if inner is not None:
                stack.enter_context(closing(inner))
                done = set(inner.names())
            elif not self._folder.has(name):
                raise NotFoundError(f'there is no collection "{name}"', hint="reg collection list TARGET")
            total = 0
            for number, rows in enumerate(groups):
                part = f"{number:08}"
                if inner is not None and part not in done:
                    with (
                        inner.writing(part, replace=True) as file,
                        closing(_form_of(name).writer(file, Head(schema))) as writer,
                    ):
                        writer.add(rows)
                total += len(rows)
                yield total

    def build_index(self, name: str, schema: Schema) -> None:
        """Write the parts into one file, under its name once it is whole: every search looks at every row."""
        inner = self._folder.find_folder(_loading_of(name))
        if inner is None:
            return
        with closing(inner):
            head = _read_head(inner)
            if head.schema != schema:
                raise ConflictError(f'the collection "{name}" has another schema', hint="load into a new one")
            try:
                with self._folder.writing(name) as file, closing(_form_of(name).writer(file, head)) as writer:
                    for part in _parts(inner):
                        with part:
                            writer.append(part)
            except ConflictError:  # the same load, by a worker that was thought to be gone
                if self._mark_of(name) != head.mark:
                    raise
        self._folder.remove_folder(_loading_of(name))

    def search(self, name: str, vector: bytes, *, space: str, limit: int) -> Sequence[Hit]:
        """Compare with every row."""
        with self.open(name) as reading:
            spaces = reading.schema.vectors
            found = next((one for one in spaces if one.name == space), None)
            if found is None:
                known = ", ".join(one.name for one in spaces)
                raise NotFoundError(f'"{name}" has no vector "{space}"', hint=f"it has {known}")
            return nearest(reading.batches(), found, vector, limit=limit)

    def unreachable(self, name: str, keys: Collection[bytes]) -> frozenset[bytes]:
        """Name the keys that are in no row: a search looks at every row."""
        with self._opened(name) as files:
            there = self._known_keys(name, files)
        asked = list(keys)
        wanted = _hashes(asked)
        places = np.searchsorted(there, wanted)
        return frozenset(
            key
            for key, place, hashed in zip(asked, places.tolist(), wanted, strict=True)
            if place == len(there) or there[place] != hashed
        )

    def _known_keys(self, name: str, files: Sequence[BinaryIO]) -> NDArray[np.uint64]:
        """Hash the keys of a file once: a load asks for all of them, some thousand at a time."""
        stamp = tuple(map(stamp_of, files))
        known = self._keys.get(name)
        if known is None or known[0] != stamp:
            schema, form = self._look(name, files).schema, _form_of(name)
            hashed = [_hashes(keys) for file in files for keys in form.keys(file, schema)]
            known = self._keys[name] = stamp, np.sort(np.concatenate([np.zeros(0, np.uint64), *hashed]))
        return known[1]

    def _look(self, name: str, files: Sequence[BinaryIO]) -> Found:
        """Look at a file once, for as long as nobody writes to it."""
        stamp = tuple(map(stamp_of, files))
        seen = self._seen.get(name)
        if seen is None or seen[0] != stamp or not files:
            seen = self._seen[name] = stamp, self._found(name, files)
        return seen[1]

    def _found(self, name: str, files: Sequence[BinaryIO]) -> Found:
        inner = self._folder.find_folder(_loading_of(name))
        if inner is not None and not self._folder.has(name):
            with closing(inner):
                head = _read_head(inner)
            if head.schema is None:
                raise NotFoundError(f'"{name}" is loaded by nobody', hint="remove its hidden folder")
            return Found(head.schema, head)
        return _form_of(name).look(files[0])

    def _make_loading(self, name: str, head: Head) -> None:
        """Make the hidden folder of a load, with its head in it from the first moment; whoever comes first wins."""
        self._remove_begun(name)
        beside = f"{_loading_of(name)}.{self._holder.epoch}"
        with closing(self._folder.make_folder(beside)) as inner, inner.writing(_HEAD) as file:
            file.write(head.written())
        if not self._folder.rename(beside, _loading_of(name)):
            self._folder.remove_folder(beside)

    def _remove_begun(self, name: str) -> None:
        """Remove what workers that were killed at the very start left: this one of an earlier try, and those before."""
        for found in self._folder.names():
            beside, _, epoch = found.rpartition(".")
            if beside == _loading_of(name) and epoch.isdecimal() and int(epoch) <= self._holder.epoch:
                self._folder.remove_folder(found)

    @contextmanager
    def _opened(self, name: str) -> Iterator[Sequence[BinaryIO]]:
        """Open the file of a name, or the parts of its load."""
        with ExitStack() as stack:
            file = self._folder.find(name) if _NAME.match(name) else None
            if file is not None:
                yield [stack.enter_context(file)]
                return
            inner = self._folder.find_folder(_loading_of(name)) if _NAME.match(name) else None
            if inner is None:
                raise NotFoundError(f'there is no collection "{name[:_MAX_NAME]}"', hint="reg collection list TARGET")
            with closing(inner):
                files = [stack.enter_context(part) for part in _parts(inner)]
            yield files

    def _mark_of(self, name: str) -> str | None:
        """Give the mark of a file or a load, empty where it is somebody else's; None where there is neither."""
        if not _NAME.match(name):
            return None
        file = self._folder.find(name)
        if file is not None:
            with file:
                return _entry(name, file).mark
        inner = self._folder.find_folder(_loading_of(name))
        if inner is None:
            return None
        with closing(inner):
            return _read_head(inner).mark


def open_files(
    url: str,
    *,
    holder: Holder,
    password: str | None = None,  # noqa: ARG001 # a folder has none
    data: Path | None = None,  # noqa: ARG001 # every provider is told the registry's data folder
) -> FilesProvider:
    """Open the folder of `file:///folder` as a provider.

    Raises:
        ConfigurationError: The URL names no folder of this machine.
    """
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not path.is_absolute() or not path.is_dir():
        raise ConfigurationError(
            f'"{url[:200]}" is no folder of the worker\'s machine', hint="file:///folder, where the worker may read"
        )
    return FilesProvider(Folder.open(path), holder)


def _require_name(name: str) -> None:
    if not _NAME.match(name) or len(name.encode("utf-8", "surrogateescape")) > _MAX_NAME:
        raise InvalidNameError(
            f'"{name[:_MAX_NAME]}" is no name of a file of ours', hint=f"one ending in {' or '.join(_FORMS)}, no path"
        )


def _form_of(name: str) -> Form:
    return _FORMS[name[name.rindex(".") :]]


def _loading_of(name: str) -> str:
    return f".{name}.loading"


def _of_loading(name: str) -> str | None:
    found = name.removeprefix(".").removesuffix(".loading")
    return found if _loading_of(found) == name and _NAME.match(found) else None


def _read_head(inner: Folder) -> Head:
    file = inner.find(_HEAD)
    if file is None:
        return Head()
    with file:
        return Head.parse(read_small(file, max_bytes=MAX_HEAD))


def _parts(inner: Folder) -> Iterator[BinaryIO]:
    for name in inner.names():
        file = inner.find(name) if _PART.match(name) else None
        if file is not None:
            yield file


def _entry(name: str, there: BinaryIO | Folder) -> CollectionEntry:
    """Give what a file, or a load, says about itself; what is none is listed, and told when it is read."""
    try:
        head, rows = (_read_head(there), None) if isinstance(there, Folder) else _form_of(name).head(there)
    except RegaliaError:
        return CollectionEntry(name)
    return CollectionEntry(name, rows, head.mark)


def _hashes(keys: Sequence[bytes]) -> NDArray[np.uint64]:
    """Hash keys to 64 bits: what is told apart by them is told again by the root, over whole keys."""
    return np.frombuffer(b"".join(sha256(key).digest()[:_HASH] for key in keys), np.uint64)
