"""Where `reg` starts: says which extra is missing before anything of it is imported."""

import sys


def main() -> None:
    """Run `reg`."""
    try:
        from regalia_cli.main import run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("regalia"):
            raise
        sys.stderr.write(f"error: reg needs {error.name}, which is not installed\nhint: pip install 'regalia[cli]'\n")
        sys.exit(1)
    sys.exit(run())
