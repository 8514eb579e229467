"""`reg`: the table of commands, loaded when they are called, and the one place where errors become words."""

import importlib
import sys
from collections.abc import Sequence
from gettext import gettext

import click

import regalia
from regalia.core.errors import RegaliaError
from regalia_cli import output
from regalia_cli.state import State

# Command → (module in commands/, one line of help). Sections are in the order of a release's life.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Found or join a registry for an application."),
    "login": ("login", "Keep a token for a registry."),
    "doctor": ("doctor", "Check everything that can be wrong on this machine."),
    "serve": ("serve", "Run a registry on this machine."),
    "worker": ("worker", "Do a registry's operations on this machine."),
    "admin": ("admin", "Check and migrate a registry's database."),
    "lint": ("lint", "Check files offline, as push does."),
    "push": ("push", "Push the project's files."),
    "bundle": ("bundle", "Make, list, show and verify bundles."),
    "diff": ("diff", "Say what differs between two bundles."),
    "channel": ("channel", "List, show, set and renew channels."),
    "promote": ("promote", "Make a channel name a bundle."),
    "prepare": ("prepare", "Make a bundle's collections before they are needed."),
    "restore": ("restore", "Bring a channel back to a bundle it named before."),
    "hold": ("hold", "Let no channel newly name a bundle."),
    "lift": ("hold", "Lift the hold of a bundle."),
    "history": ("history", "List who moved a channel, when and why."),
    "agents": ("agents", "List who follows a channel, and what each serves."),
    "status": ("status", "Say how an application's channels stand."),
    "resolve": ("resolve", "Verify a bundle, and write its files."),
    "render": ("render", "Put values into a prompt of a bundle."),
    "export": ("export", "Write a bundle as an OCI image layout."),
    "import": ("export", "Take an exported bundle in."),
    "target": ("target", "Name, list and remove connections to vector engines."),
    "collection": ("collection", "List, show, search and retire the collections of a target."),
    "snapshot": ("snapshot", "Take, show, compare and search snapshots of vector collections."),
    "operation": ("operation", "List, watch and cancel the work of the worker."),
    "gc": ("gc", "Remove what nothing needs any more."),
    "key": ("key", "Make, back up, restore and protect keys."),
    "trust": ("trust", "Show and change the trust root."),
    "token": ("token", "Make, list and revoke tokens."),
    "demo": ("demo", "Tell the whole story with real processes."),
}


class Commands(click.Group):
    """Loads a command's module when the command is called; the help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 # click's signature
        """List the commands in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 # click's signature
        """Load a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"regalia_cli.commands.{COMMANDS[cmd_name][0]}")
        name = f"{cmd_name}_" if cmd_name == "import" else cmd_name
        found: click.Command = getattr(module, name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 # click's signature
        """List commands with their line of the table."""
        with formatter.section(gettext("Commands")):
            formatter.write_dl([(name, told) for name, (_, told) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(regalia.__version__, prog_name="reg")
@click.option("--url", help="The registry; default: REGALIA_URL, regalia.yaml, or this machine's.")
@click.pass_context
def reg(context: click.Context, url: str | None) -> None:
    """Version prompts, models, vector collections, configs and code; release and restore them as signed bundles.

    A release's life: reg init, reg push, reg bundle create, reg promote VERSION --to prod; and when it is a bad one,
    reg restore APP:prod --to previous --reason TICKET.

    Shell completion: eval "$(_REG_COMPLETE=bash_source reg)", and likewise zsh_source and fish_source.
    """
    context.obj = State(url)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `reg`; returns the status: 0 done, 1 refused, 2 wrong usage, 3 moved, and not all agents followed in time."""
    try:
        status = reg.main(args=None if arguments is None else list(arguments), prog_name="reg", standalone_mode=False)
    except RegaliaError as error:
        output.fail(error)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        output.tell("stopped; nothing more was done")
        return 1
    except BrokenPipeError:  # the reader of our stdout has enough
        sys.stderr.close()
        return 0
    return status if isinstance(status, int) else 0
