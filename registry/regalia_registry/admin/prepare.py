"""What runs once before the web processes, in a process of its own so that neither they nor the supervisor carry it."""

import json
import sys
from pathlib import Path

from regalia.core.errors import RegaliaError
from regalia.places import ADMIN_TOKEN_HASH_FILE, ROOT_FILE
from regalia_registry.adapters.sql.migrate import upgrade
from regalia_registry.admin.logs import configure_logs
from regalia_registry.bootstrap.ports import make_ports
from regalia_registry.services.access import take_in_admin_token
from regalia_registry.services.trust import take_in_first_root
from regalia_registry.settings import Settings, load_settings


def prepare(settings: Settings) -> None:
    """Migrate, and take in what lies in the data folder: the first root and the admin token's hash."""
    upgrade(settings.database_url)
    ports = make_ports(settings)
    try:
        token_hash = settings.data / ADMIN_TOKEN_HASH_FILE
        if token_hash.is_file():
            take_in_admin_token(ports, token_hash.read_text(encoding="ascii").strip())
        root = settings.data / ROOT_FILE
        if root.is_file():
            take_in_first_root(ports, root.read_bytes())
    finally:
        ports.store.close()


def main(data: Path, host: str, port: str, workers: str) -> int:
    """Prepare the data folder and print the settings in force, or the error, as JSON; empty arguments are not given."""
    try:
        settings = load_settings(
            data=data, host=host or None, port=int(port) if port else None, workers=int(workers) if workers else None
        )
        configure_logs(settings)
        prepare(settings)
    except RegaliaError as error:
        sys.stdout.write(json.dumps({"error": error.message, "hint": error.hint}))
        return 1
    names = ("host", "port", "workers", "metrics_host", "metrics_port", "drain_s", "grace_s")
    sys.stdout.write(json.dumps({name: getattr(settings, name) for name in names}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:5]))
