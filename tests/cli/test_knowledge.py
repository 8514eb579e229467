"""The demo's knowledge base: what is committed is what the texts say, and its changes are felt."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from regalia_cli.demo.stage import FILES

TEXTS = Path("cli/knowledge")
MADE = FILES / "knowledge"
QUESTIONS: dict[str, list[float]] = json.loads((MADE / "questions.json").read_text(encoding="utf-8"))


def texts(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (TEXTS / name).read_text(encoding="utf-8").splitlines()]


def rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = parquet.read_table(MADE / name).to_pylist()
    return found


def nearest(passages: list[dict[str, Any]], question: str) -> str:
    vectors: NDArray[np.float32] = np.array([passage["embedding"] for passage in passages], np.float32)
    return str(passages[int(np.argmax(vectors @ np.array(QUESTIONS[question], np.float32)))]["body"])


@pytest.mark.parametrize("name", ["help_pages", "changes"])
def test_the_passages_are_the_committed_texts(name: str) -> None:
    made = [{"id": row["id"], "topic": row["topic"], "text": row["body"]} for row in rows(f"{name}.parquet")]

    assert made == texts(f"{name}.jsonl")
    assert len({row["id"] for row in made}) == len(made)


def test_every_vector_is_a_unit_of_384_numbers() -> None:
    passages = [row["embedding"] for name in ("help_pages", "changes") for row in rows(f"{name}.parquet")]
    vectors = [vector for vector in passages if vector is not None]

    lengths = np.linalg.norm(np.array([*vectors, *QUESTIONS.values()]), axis=1)

    assert {len(vector) for vector in vectors} == {384}
    assert np.allclose(lengths, 1, atol=1e-6)


@pytest.mark.parametrize("question", [line["text"] for line in texts("questions.jsonl")])
def test_the_changes_alter_the_answer_to_each_question(question: str) -> None:
    before = {row["id"]: row for row in rows("help_pages.parquet")}
    after = before | {row["id"]: row for row in rows("changes.parquet")}

    answered = nearest(list(before.values()), question)
    altered = nearest([row for row in after.values() if row["body"] is not None], question)

    assert answered != altered


def test_the_demo_pins_the_embedder_that_made_its_vectors() -> None:
    [used] = re.findall(r'REVISION = "(sha256:\w{64})"', (TEXTS / "embed.py").read_text(encoding="utf-8"))

    assert f'version: "{used}"' in (FILES / "model_registry.yaml").read_text(encoding="utf-8")
