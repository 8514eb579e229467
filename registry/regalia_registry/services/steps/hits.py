"""Answers of a search as an outcome holds them: whole where they are short, cut and marked where they are not."""

import json
import math
from collections.abc import Iterable

from regalia.core.strict_json import MAX_INTEGER, JsonObject, JsonValue
from regalia_registry.domain.snapshots.rows import decode_key, decode_properties
from regalia_registry.domain.texts import readable_text

_HIT_CHARACTERS = 4096
_MIN_CHARACTERS = 64


def shown_key(key: bytes) -> str:
    """Spell an encoded key for people, as our readers of JSON take it."""
    return readable_text(str(decode_key(key)))


def shown_hits(hits: Iterable[tuple[bytes, float, bytes]]) -> list[JsonValue]:
    """Write hits (encoded key, distance, properties as JSON) within some KiB each."""
    found: list[JsonValue] = []
    for key, distance, properties in hits:
        hit: JsonObject = {"key": shown_key(key), "distance": distance if math.isfinite(distance) else None}
        shown, cut = _shown(decode_properties(key, properties))
        hit["properties"] = shown
        if cut:
            hit["cut"] = cut
        found.append(hit)
    return found


def _shown(properties: dict[str, object]) -> tuple[JsonObject, list[JsonValue]]:
    """Keep properties in their order while there is room; gives them, and the names of those that are not whole."""
    shown, cut = JsonObject(), list[JsonValue]()
    room = _HIT_CHARACTERS
    for name, value in properties.items():
        kept = _scalar(value)
        size = len(name) + (len(kept) if isinstance(kept, str) else _MIN_CHARACTERS)
        if size > room:
            cut.append(name[:_MIN_CHARACTERS])
            left = room - len(name)
            if not isinstance(kept, str) or left < _MIN_CHARACTERS:
                continue
            kept, size = f"{kept[: left - 1]}…", room
        shown[name] = kept
        room -= size
    return shown, cut


def _scalar(value: object) -> JsonValue:
    """Give a value as it is where every reader of JSON reads it alike, else its JSON as text."""
    if value is None or isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int) and abs(value) <= MAX_INTEGER:
        return value
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
