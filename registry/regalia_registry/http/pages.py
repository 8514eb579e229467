"""Keyset pages: entries, and the key to go on from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Page(Generic[Entry]):
    """A page of a list; `next` is absent on the last one."""

    items: list[Entry]
    next: str | None = None


def page_of(entries: list[Entry], *, limit: int, key: Callable[[Entry], str]) -> Page[Entry]:
    """Make a page; a full one may have a next."""
    return Page(entries, key(entries[-1]) if len(entries) == limit else None)
