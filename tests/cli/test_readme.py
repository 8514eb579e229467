"""What the README promises: its own commands, run as a newcomer would."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
        online = subprocess.run(
            agent, cwd=made.project, env=made.environment, capture_output=True, text=True, check=True
        )
        made.stop()
        offline = subprocess.run(
            agent, cwd=made.project, env=made.environment, capture_output=True, text=True, check=True
        )

    pushes = [out for line, out in ran if line == "reg push"]
    assert "unchanged" not in pushes[0]
    assert pushes[1].count("unchanged") == len(pushes[1].splitlines()) == 3
    assert online.stdout.startswith("2.3.1 fresh gpt-4-0125-preview\nYou are a bank support agent...\nFees: none.\n")
    assert offline.stdout.startswith("2.3.1 disk gpt-4-0125-preview\n")


def test_the_demo_tells_its_story_and_leaves_nothing(tmp_path: Path) -> None:
    with home(tmp_path) as made:
        told = subprocess.run(
            [*REG, "demo"],
            env={**made.environment, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert told.returncode == 0, told.stdout + told.stderr
    assert "2.3.0 (disk)" in told.stdout
    assert not list(tmp_path.glob("regalia-demo-*"))


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(path: str) -> None:
    assert Path(path).exists()
