"""A class as its server describes it, for people to read: without what could hold a key or send one somewhere."""

import json
from collections.abc import Mapping
from typing import Any

_MODULES = ("moduleConfig", "vectorizer")  # a stored base URL would be sent the key
_PROSE = "description"
_LEFT_OUT = "left out"


def define(found: Mapping[str, Any]) -> str:
    """Spell a class; of its modules only the names stand, and of texts that hold an address nothing."""
    return json.dumps(_shown(found), indent=2, ensure_ascii=False) + "\n"


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return _LEFT_OUT if "://" in value else value
    if isinstance(value, list):
        return [_shown(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {name: _named(name, one) for name, one in value.items()}


def _named(name: str, value: Any) -> Any:
    if name in _MODULES and isinstance(value, Mapping):
        return dict.fromkeys(value, _LEFT_OUT)
    return value if name == _PROSE and isinstance(value, str) else _shown(value)
