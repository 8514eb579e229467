"""What every command shares: the client of this folder's project, made when it is needed."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click

from regalia.client import Client
from regalia.core.errors import InvalidNameError
from regalia.core.names import ApplicationName
from regalia.core.references import BundleReference


@dataclass
class State:
    """The flags that stand before the command."""

    url: str | None = None

    @cached_property
    def client(self) -> Client:
        """The client."""
        client = Client(self.url)
        client.ask_passphrase = _ask_passphrase
        return client

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment."""
        return dict(os.environ)

    @property
    def folder(self) -> Path:
        """The working folder."""
        return Path.cwd()

    def application(self, given: str | None = None) -> ApplicationName:
        """Give the named application, or the project's.

        Raises:
            InvalidNameError: None is named and no project is here.
        """
        if given is not None:
            return ApplicationName.parse(given)
        found = self.client.settings.project.application
        if found is None:
            raise InvalidNameError("no project is here", hint="go where regalia.yaml is, or name NAMESPACE/NAME")
        return found

    def channel(self, text: str) -> BundleReference:
        """Read a channel: `APP:CHANNEL`, or in a project `:CHANNEL` or its bare name."""
        marked = text if ":" in text or "/" in text else f":{text}"
        found = self.client.parse(marked)
        if not found.moves:
            raise InvalidNameError(
                f'"{text}" is no channel', hint="write acme/support-agent:prod, or :prod in a project"
            )
        return found

    def bundle(self, text: str) -> BundleReference:
        """Read a bundle by version or digest."""
        found = self.client.parse(text)
        if found.channel is not None:
            raise InvalidNameError(f'"{text}" is a channel, expected a bundle', hint="APP@VERSION or APP@sha256:…")
        return found


pass_state = click.make_pass_decorator(State, ensure=True)


def _ask_passphrase(role: str) -> str:
    asked: str = click.prompt(f"Passphrase of the {role} key", hide_input=True, err=True)
    return asked
