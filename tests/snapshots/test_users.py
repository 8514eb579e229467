"""Who stops the engines of a data folder: the last worker that uses them, however the others ended."""

import subprocess
import sys
from pathlib import Path

from regalia_registry.adapters.vectors.users import Users

USER = """
import sys, time
from pathlib import Path
from regalia_registry.adapters.vectors.users import Users
users = Users(Path(sys.argv[1]))
users.join()
sys.stdout.write("joined\\n")
sys.stdout.flush()
time.sleep(600)
"""


def test_only_the_last_user_stops_the_engines(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", USER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    with other.stdout:
        assert other.stdout.readline() == "joined\n"
        ours = Users(tmp_path)
        ours.join()

        is_last_beside_another = ours.leave()
        other.kill()
        other.wait()

    assert not is_last_beside_another
    assert ours.leave()
