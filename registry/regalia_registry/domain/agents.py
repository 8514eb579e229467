"""Agents: the instances of an application that follow a channel, and what each says that it serves."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from regalia.core.digest import Digest
from regalia.core.names import ApplicationName
from regalia.core.references import BundleReference

MAX_AGENTS = 10_000  # a channel; of more, those that were seen last are remembered
MAX_TOLD = 160  # characters that an instance and what it serves can have together
REMEMBERED = timedelta(hours=24)

_INSTANCE = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_SERVES = re.compile(r"([0-9]{1,16})\.([0-9]{1,16}) sha256:([0-9a-f]{64})\Z")
_MAX_NUMBER = 2**53


@dataclass(frozen=True, slots=True)
class Agent:
    """An instance, as it polled last: what it says of itself is believed for lists, and to keep what it may still read.

    `pinned` ones serve one bundle, wherever the channel is.
    """

    application: ApplicationName
    channel: str
    instance: str
    epoch: int
    sequence: int
    bundle: Digest
    seen_at: datetime
    pinned: bool = False


def read_agent(reference: BundleReference, *, instance: str, serves: str, seen_at: datetime) -> Agent | None:
    """Read what a poll tells of who asks; None where it tells nothing that makes sense, since it is only for lists.

    >>> prod = BundleReference.parse("acme/support-agent:prod")
    >>> read_agent(prod, instance="a1", serves="1.7 sha256:" + "0" * 64, seen_at=datetime(2026, 3, 1)).sequence
    7
    """
    matched = _SERVES.match(serves)
    if reference.channel is None or matched is None or not _INSTANCE.match(instance):
        return None
    epoch, sequence = int(matched.group(1)), int(matched.group(2))
    if max(epoch, sequence) >= _MAX_NUMBER:
        return None
    bundle = Digest(matched.group(3))
    application, channel, pinned = reference.application, reference.channel, reference.is_pinned
    return Agent(application, channel, instance, epoch, sequence, bundle, seen_at, pinned)
