"""What the README promises: its own commands, run as a newcomer would."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from regalia_cli.demo.stage import embedded_postgres
from tests.support.registries import REG, home

README = Path("README.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    found = re.search(rf"<!-- tour: {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found is not None, name
    return found.group(1)


def shell_lines(text: str) -> str:
    return "\n".join(line.removeprefix("$ ") for line in text.splitlines())


def test_the_tour_runs_as_written(tmp_path: Path) -> None:
    with home(tmp_path) as made:
        subprocess.run(["bash", "-euc", shell_lines(block("files"))], cwd=made.project, check=True)
        ran: list[tuple[str, str]] = []
        for line in shell_lines(block("commands")).splitlines():
            if line == "reg serve &":
                made.start(workers=2)
                continue
            done = made.reg(*line.split()[1:])
            assert done.returncode == 0, f"{line}: {done.stderr}"
            ran.append((line, done.stdout))
        agent = [sys.executable, "-c", block("agent")]

        def told() -> str:
            return subprocess.run(
                agent, cwd=made.project, env=made.environment, capture_output=True, text=True, check=True
            ).stdout

        deadline = time.monotonic() + 60
        while "fresh" not in (online := told()):  # it waits for a busy registry for two seconds
            assert time.monotonic() < deadline, online
        made.stop()
        offline = told()

    pushes = [out for line, out in ran if line == "reg push"]
    assert "unchanged" not in pushes[0]
    assert pushes[1].count("unchanged") == len(pushes[1].splitlines()) == 3
    assert online.startswith("2.3.1 fresh gpt-4-0125-preview\nYou are a bank support agent...\nFees: none.\n")
    assert offline.startswith("2.3.1 disk gpt-4-0125-preview\n")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    with home(tmp_path_factory.mktemp("demo")) as made:
        told = subprocess.run([*REG, "demo"], env=made.environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def test_the_demo_tells_its_story_and_leaves_nothing(demo: str) -> None:
    [staged] = {Path(found) for found in re.findall(r"\S+/regalia-demo-\w+", demo)}

    assert "2.3.0 (disk)" in demo
    meanwhile = r"the fleet meanwhile: ([\d,]+) queries, 0 errors, 0 mixed reads; it serves \['2\.3\.0'\]"
    [queries] = re.findall(meanwhile, demo)
    assert int(queries.replace(",", "")) > 100  # as many as this machine can
    assert "fleet: 8 of 8 on sequence" in demo
    assert re.search(r"snapshots/kb on local: kb_\w{8} is there, sealed and proved \(320 rows\)", demo)
    assert not staged.exists()
    assert not embedded_postgres(staged / ".local/share/regalia").exists()


def test_the_demos_agent_answers_wrongly_from_the_bad_release_and_rightly_once_it_is_restored(demo: str) -> None:
    assert re.findall(r"debit card costs ([\d.]+) euros", demo) == ["5.00", "50.00", "5.00"]
    assert re.findall(r"We never ask you for a code|Read it to them", demo) == [
        "We never ask you for a code",
        "Read it to them",
        "We never ask you for a code",
    ]
    assert "Updated kb snapshot: 320 → 323 rows" in demo


def test_the_demo_says_what_it_lacks() -> None:
    without = "import sys; sys.modules['pyarrow'] = None; from regalia_cli.entry import main; main()"

    told = subprocess.run([sys.executable, "-c", without, "demo"], capture_output=True, text=True, check=False)

    assert told.returncode == 1
    assert "the demo needs pyarrow" in told.stderr
    assert "regalia[all]" in told.stderr


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(path: str) -> None:
    assert Path(path).exists()
