"""The generated page says what the commands say."""

import importlib.util
from pathlib import Path


def test_the_cli_reference_is_what_make_docs_writes() -> None:
    spec = importlib.util.spec_from_file_location("generate", Path("docs/generate.py"))
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    assert Path("docs/reference/cli.md").read_text(encoding="utf-8") == generate.page()
