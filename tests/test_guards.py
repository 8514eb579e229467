"""Promises about the whole: exported names, mapped errors, an implementation of DSSE that is not ours, the wheel."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.signer._key import Key, SSlibKey

import regalia
from regalia.core import errors
from regalia.core.names import Kind
from regalia.testing import MemoryRegistry
from regalia_registry.http.errors import STATUS


@pytest.mark.parametrize("name", regalia.__all__)
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(regalia, name).__name__ == name


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = regalia.nothing


def test_every_error_has_a_code_of_its_own_and_a_status() -> None:
    waiting, found = [errors.RegaliaError], []
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting.extend(current.__subclasses__())

    assert len({one.code for one in found}) == len(found)
    assert set(STATUS) == set(found)


def test_every_kind_has_an_accessor_on_a_bundle() -> None:
    names = {Kind.SNAPSHOT: "collection"}

    assert all(hasattr(regalia.Bundle, names.get(kind, str(kind))) for kind in Kind)


def test_a_release_statement_verifies_with_another_implementation_of_dsse(tmp_path: Path) -> None:
    registry = MemoryRegistry(tmp_path)
    released = registry.release("1.0.0", prompts={"greeting": "Hello {name}"})
    envelope = OtherEnvelope.from_dict(json.loads(released.release))
    public = registry.keys["release"].public
    key: Key = SSlibKey(public.keyid, "ecdsa", "ecdsa-sha2-nistp256", {"public": public.pem})

    assert list(envelope.verify([key], 1)) == [public.keyid]


def test_a_wheel_away_from_the_checkout_migrates_serves_and_resolves(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)],
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    venv.create(tmp_path / "bare", with_pip=False)
    python = tmp_path / "bare" / "bin" / "python"
    site = next((tmp_path / "bare/lib").glob("python*/site-packages"))
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    # The libraries are those of this environment; the package itself comes from the wheel alone.
    [libraries] = [path for path in map(Path, sys.path) if path.name == "site-packages"]
    links = [f"{path}" for path in [libraries] if path.is_dir()]
    (site / "libraries.pth").write_text("\n".join(links) + "\n")

    told = subprocess.run(
        [str(python), "-c", "from regalia_cli.entry import main; main()", "demo"],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    where = subprocess.run(
        [str(python), "-c", "import regalia, regalia_registry; print(regalia.__file__, regalia_registry.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert told.returncode == 0, told.stdout + told.stderr
    assert all(str(site) in path for path in where)
