"""The pytest fixture `regalia_registry`; nothing is loaded until a test asks for it."""

from pathlib import Path

import pytest

import regalia

TYPE_CHECKING = False  # what type checkers read as true: it is loaded when it is used

if TYPE_CHECKING:
    import regalia.testing


@pytest.fixture
def regalia_registry(tmp_path: Path) -> "regalia.testing.MemoryRegistry":
    """A registry in memory, for this test alone."""
    return regalia.testing.MemoryRegistry(tmp_path)
