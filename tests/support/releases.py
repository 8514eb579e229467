"""What a pipeline does through the SDK: push a prompt that tells its version, bundle it, move a channel there."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from regalia import moving, publishing
from regalia.client import Client
from regalia.core.errors import UnavailableError
from regalia.core.kinds.prompt import PromptConfig
from regalia.core.names import ApplicationName, Kind, Slot
from regalia.core.references import BundleReference
from regalia.sources import Draft
from regalia.wire.answers import Moved

APPLICATION = ApplicationName("acme", "support-agent")
CHANNEL = BundleReference(APPLICATION, channel="prod")
PATIENCE_S = 180.0

_NOTHING: Mapping[str, tuple[str, bytes]] = {}
T = TypeVar("T")


class Trying(Protocol):
    """How an act is done, each of which may be done twice."""

    def __call__(self, act: Callable[[], T], /) -> T:
        """Do it, and give what it gives."""
        ...


def once(act: Callable[[], T]) -> T:
    """Do it, and let whoever asked see what went wrong."""
    return act()


def patiently(act: Callable[[], T]) -> T:
    """Do it again and again while nobody answers."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except UnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def push(
    client: Client, version: str, *, prompt: str = "greeting", beside: Mapping[str, tuple[str, bytes]] = _NOTHING
) -> publishing.PushedArtifact:
    """Push a prompt that tells its version, with these files beside its own."""
    config = PromptConfig(prompt, version, "none", template=f"Hello {version}")
    contents = {"greeting.txt": ("text/plain", version.encode()), **beside}
    draft = Draft(Slot(Kind.PROMPT, prompt), config, contents, origin="", has_version=True)
    [one] = publishing.push(client, APPLICATION.namespace, [draft])
    return one


def release(client: Client, one: publishing.PushedArtifact, *, trying: Trying = once) -> None:
    """Make a pushed prompt a bundle of its version."""
    plan = trying(lambda: publishing.plan_bundle(client, APPLICATION, [one], version=one.version))
    signer = publishing.release_signer(client, APPLICATION)
    trying(lambda: publishing.release(client, plan, signer))


def promote(client: Client, version: str, *, trying: Trying = once) -> Moved:
    """Move the channel to a bundle."""
    to = BundleReference(APPLICATION, version=version)
    return _carry_out(client, lambda: moving.plan_promote(client, CHANNEL, to, moving.Facts()), trying)


def restore(client: Client, version: str, *, trying: Trying = once) -> Moved:
    """Bring the channel back to a bundle that it named."""
    facts = moving.Facts(reason="INC-42")
    return _carry_out(client, lambda: moving.plan_restore(client, CHANNEL, version, facts, hold=False), trying)


def _carry_out(client: Client, planned: Callable[[], moving.MovePlan], trying: Trying) -> Moved:
    plan = trying(planned)
    signer = moving.channel_signer(client, CHANNEL)
    return trying(lambda: moving.execute(client, plan, signer))
