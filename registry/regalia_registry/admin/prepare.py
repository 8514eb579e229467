"""What runs once before the web processes: migrations, and what lies in the data folder; tells the settings in force."""

import json
import sys
from pathlib import Path

from regalia.core.errors import RegaliaError
from regalia_registry.bootstrap import prepare
from regalia_registry.settings import load_settings


def main(data: Path, host: str, port: str, workers: str) -> int:
    """Prepare the data folder; empty arguments leave a setting to file and environment."""
    try:
        settings = load_settings(
            data=data, host=host or None, port=int(port) if port else None, workers=int(workers) if workers else None
        )
        prepare(settings)
    except RegaliaError as error:
        sys.stdout.write(json.dumps({"error": error.message, "hint": error.hint}))
        return 1
    sys.stdout.write(json.dumps({"host": settings.host, "port": settings.port, "workers": settings.workers}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:5]))
