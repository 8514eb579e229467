"""The walls of the house: who may import whom, measured from the code's own imports."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOTS = {"regalia": Path("client"), "regalia_registry": Path("registry"), "regalia_cli": Path("cli")}

# A room may import these rooms of ours; itself is always allowed. A longer prefix wins over a shorter one.
FLOORS = {
    "regalia.core": set(),
    "regalia.wire": {"regalia.core"},
    "regalia.places": {"regalia.core"},
    "regalia._transport": {"regalia.core"},
    "regalia.strict_yaml": {"regalia.core"},
    "regalia.project": {"regalia.core", "regalia.places", "regalia.strict_yaml"},
    "regalia.sources": {"regalia.core", "regalia.project", "regalia.strict_yaml"},
    "regalia": {"regalia"},
    "regalia_registry.domain": {"regalia.core"},
    "regalia_registry.ports": {"regalia_registry.domain", "regalia.core"},
    "regalia_registry.adapters": {"regalia_registry.ports", "regalia_registry.domain", "regalia.core"},
    "regalia_registry.segments": {"regalia_registry.domain", "regalia.core"},
    "regalia_registry.services": {
        "regalia_registry.segments",
        "regalia_registry.ports",
        "regalia_registry.domain",
        "regalia.core",
        "regalia.wire",
    },
    "regalia_registry.worker": {
        "regalia_registry.services",
        "regalia_registry.ports",
        "regalia_registry.domain",
        "regalia.core",
    },
    "regalia_registry.settings": {"regalia.core", "regalia.places"},
    "regalia_registry.http": {
        "regalia_registry.services",
        "regalia_registry.ports",
        "regalia_registry.domain",
        "regalia_registry.settings",
        "regalia.core",
        "regalia.wire",
        "regalia",
    },
    "regalia_registry": {"regalia_registry", "regalia.core", "regalia.places", "regalia"},
    "regalia_cli": {"regalia"},
}

# A library stands in these rooms only.
LIBRARIES = {
    "fastapi": {"regalia_registry.http"},
    "starlette": {"regalia_registry.http"},
    "pydantic": {"regalia_registry.http", "regalia_registry.settings"},
    "pydantic_settings": {"regalia_registry.settings"},
    "sqlmodel": {"regalia_registry.adapters.sql"},
    "sqlalchemy": {"regalia_registry.adapters.sql"},
    "alembic": {"regalia_registry.adapters.sql"},
    "uvicorn": {"regalia_registry.admin"},
    "boto3": {"regalia_registry.adapters.s3", "regalia_registry.adapters.vectors.aws_secrets"},
    "botocore": {"regalia_registry.adapters.s3", "regalia_registry.adapters.vectors.aws_secrets"},
    "prometheus_client": {"regalia_registry.http.metrics", "regalia_registry.admin.exposing"},
    "click": {"regalia_cli"},
    "rich": {"regalia_cli"},
    "yaml": {"regalia.strict_yaml"},
    "detect_secrets": {"regalia.sources"},
    "jsonschema": {"regalia.sources"},
    "referencing": {"regalia.sources"},
    "jinja2": {"regalia.core.templates.jinja"},
    "semver": {"regalia.core.versions"},
    "cryptography": {"regalia.core.keys", "regalia.core.signing"},
    "numpy": {
        "regalia_registry.segments",
        "regalia_registry.adapters.vectors",
        "regalia_registry.domain.snapshots.measures",
    },
    "psycopg": {
        "regalia_registry.adapters.sql.postgresql",
        "regalia_registry.adapters.vectors.pgvector",
        "regalia_cli.demo.files",  # a user's own programs
    },
    "pyarrow": {"regalia_registry.segments", "regalia_registry.adapters.vectors.files", "regalia_cli.demo.files"},
    "grpc": {"regalia_registry.adapters.vectors.weaviate"},
    "google": {"regalia_registry.adapters.vectors.weaviate"},
    "httpx": {"regalia_registry.adapters.vectors.weaviate"},
    "weaviate": {"regalia_registry.adapters.vectors.weaviate"},
    "pytest": {"regalia.testing"},
}

IMPURE = {
    "os",
    "pathlib",
    "socket",
    "time",
    "random",
    "secrets",
    "logging",
    "subprocess",
    "threading",
    "tempfile",
    "http",
    "urllib",
}
PURE_ROOMS = ("regalia.core", "regalia.wire", "regalia_registry.domain")


def modules() -> Iterator[tuple[str, Path]]:
    for name, folder in ROOTS.items():
        for path in sorted((folder / name).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imports_of(path: Path, *, nested: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    typed = {id(node) for block in tree.body if is_for_types_only(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in typed or (nested and id(node) in top):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module


def is_for_types_only(block: ast.stmt) -> bool:
    return isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"


def is_in(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> str:
    return max((room for room in FLOORS if is_in(module, room)), key=len)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_rooms_below_its_own(module: str) -> None:
    room = room_of(module)
    allowed = {room, *FLOORS[room]}

    ours = {name for name in imports_of(MODULES[module]) if name.partition(".")[0] in ROOTS}
    strangers = {name for name in ours if not any(is_in(name, other) for other in allowed)}

    assert strangers == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_library_stands_in_its_rooms_only(module: str) -> None:
    found = {name.partition(".")[0] for name in imports_of(MODULES[module])}

    strangers = {name for name in found & set(LIBRARIES) if not any(is_in(module, room) for room in LIBRARIES[name])}

    assert strangers == set()


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(PURE_ROOMS)])
def test_a_pure_room_touches_no_clock_disk_network_or_randomness(module: str) -> None:
    found = {name.partition(".")[0] for name in imports_of(MODULES[module])}

    assert found & IMPURE == set()


@pytest.mark.parametrize("module", [module for module in MODULES if module != "regalia_cli.entry"])
def test_imports_stand_at_the_top_of_the_file(module: str) -> None:
    assert list(imports_of(MODULES[module], nested=True)) == []


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {name: {used for used in imports_of(path) if used in MODULES} for name, path in MODULES.items()}

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail(f"a cycle: {' -> '.join(cycle.args[1])}")


@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith("regalia.")])
def test_only_the_sdk_has_imports_for_type_checkers_alone(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))

    assert module == "regalia" or not any(map(is_for_types_only, tree.body))


def test_a_web_process_loads_no_engine_and_no_parquet() -> None:
    script = "import sys, regalia_registry.admin.web; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert {"pyarrow", "numpy", "psycopg", "regalia_registry.services.snapshots"} & set(loaded) == set()


def test_importing_the_sdk_loads_nothing_heavy() -> None:
    script = "import sys; before = set(sys.modules); import regalia; print(*sorted(set(sys.modules) - before))"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert loaded == ["regalia"]
