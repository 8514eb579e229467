"""The files of `deploy/` hold what their README promises; nginx's is tried in `service/test_draining.py`."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from regalia_registry.settings import Settings

DEPLOY = Path("deploy")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("replica-1", "replica-2", "worker")


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


@pytest.mark.skipif(sys.platform != "linux", reason="the linter's wheel is for Linux")
def test_the_dockerfile_has_no_finding() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("no hadolint for this machine")

    found = subprocess.run([hadolint, str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (0, "")


def test_all_that_the_dockerfile_copies_is_let_through() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    written = (DEPLOY / "Dockerfile").read_text()
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", written, re.MULTILINE) for word in line.split()}

    let_through = {name for line in ignored if line.startswith("!") for name in map(str, Path().glob(line[1:]))} | {
        "deploy/requirements.lock",
        "deploy/requirements-build.lock",
    }

    assert copied <= let_through
    assert all(Path(name).exists() for name in copied)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-build.lock"])
def test_every_requirement_of_the_image_has_a_hash(name: str) -> None:
    stated = re.split(r"\n(?=\S)", re.sub(r"\n *#.*", "", (DEPLOY / name).read_text()).strip())

    assert len(stated) > 5
    assert [one for one in stated if "==" not in one or "--hash=sha256:" not in one] == []


def test_the_image_holds_what_the_demos_environment_is_locked_to() -> None:
    def versions(path: Path) -> set[str]:
        return set(re.findall(r"^[a-z0-9._-]+==[^ \\]+", path.read_text(), re.MULTILINE))

    assert versions(DEPLOY / "requirements.lock") <= versions(Path("requirements.lock"))


@pytest.mark.parametrize("name", [*OURS, "proxy"])
def test_what_is_ours_runs_without_rights_on_a_read_only_root(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in {"", "0", "root"}


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_one_that_there_is(name: str) -> None:
    given = [key for key in SERVICES[name]["environment"] if key.startswith("REGALIA_SERVER_")]

    assert given
    assert {key.removeprefix("REGALIA_SERVER_").lower() for key in given} <= set(Settings.model_fields)


@pytest.mark.parametrize("name", OURS)
def test_a_replica_has_time_to_say_farewell(name: str) -> None:
    settings = SERVICES[name]["environment"]

    needed_s = int(settings["REGALIA_SERVER_DRAIN_S"]) + int(settings["REGALIA_SERVER_GRACE_S"]) + 3

    assert seconds(SERVICES[name]["stop_grace_period"]) > needed_s


def test_only_the_proxy_has_a_port_of_the_host_and_only_on_loopback() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert ports == {"proxy": ["127.0.0.1:8080:8080"]}
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert all(service["networks"] == ["inside"] for name, service in SERVICES.items() if name != "proxy")


def test_no_secret_stands_in_the_file() -> None:
    secrets = [
        value
        for service in SERVICES.values()
        for key, value in service.get("environment", {}).items()
        if re.search("PASSWORD|ACCESS_KEY|ALLOWED_KEYS|WEAVIATE_KEY", key)
    ]

    assert len(secrets) > 5
    assert [value for value in secrets if not re.fullmatch(r"\$\{[A-Z0-9_]+:\?see README\.md\}", value)] == []


def test_nginx_takes_what_the_registry_takes() -> None:
    assert "client_max_body_size 1g;" in (DEPLOY / "nginx.conf").read_text()
    assert Settings(data=Path("nowhere")).max_blob_bytes == 1024**3
