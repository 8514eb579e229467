"""What travels between client and registry: plain values, so that one class is the answer on both sides.

Digests, versions and times travel as text in their one spelling; signed documents as base64 of their exact bytes.
"""

import sys


def __getattr__(name: str) -> object:
    """Load `reading` when an answer is first read: an agent that only resolves never does."""
    if name != "reading":
        raise AttributeError(f"module 'regalia.wire' has no attribute {name!r}")
    __import__("regalia.wire.reading")
    return sys.modules["regalia.wire.reading"]
