"""The layers that are about a snapshot's rows and are none of their content: its canary, and a definition to read."""

from importlib.metadata import version

from regalia.core import oci
from regalia.core.oci import Descriptor
from regalia_registry.domain.snapshots.canary import MAX_CANARY
from regalia_registry.domain.snapshots.schema import Family
from regalia_registry.domain.texts import readable_text
from regalia_registry.ports.vectors import Defining, Provider
from regalia_registry.segments.canary import write_canary
from regalia_registry.services.context import Bench
from regalia_registry.services.steps.canaries import asked_of_source, canary_layer, canary_of
from regalia_registry.services.steps.snapshots import DEFINITION, told_layers
from regalia_registry.services.steps.taking import Pass, Taking

MAX_DEFINITION = 256 * 1024

WRITER = f"regalia {version('regalia')}"

_MAX_ENGINE = 200
_TEXT_TYPE = "text/plain; charset=utf-8"


def layers_about(taking: Taking, taken: Pass, bench: Bench) -> list[Descriptor]:
    """Store them; where the rows are those of the version before, they are its own.

    Raises:
        RegaliaError: The engine does not answer, or what is stored can't be read.
    """
    newest = taking.newest
    if newest is not None and newest.config.content_root == taken.built.root:
        return told_layers(newest)
    return [*_definition(taking), *_canary(taking, taken, bench)]


def engine_of(provider: Provider) -> str:
    """Spell what answers, and its version; empty where that is nothing but us.

    Raises:
        UnavailableError: It does not answer.
    """
    collections = provider.collections
    return collections.version()[:_MAX_ENGINE] if isinstance(collections, Defining) else ""


def _canary(taking: Taking, taken: Pass, bench: Bench) -> list[Descriptor]:
    questions = taken.canary
    if questions is None:
        questions = canary_of(taking.ports, bench, taking.newest, taking.schema, taken.built)
    if taking.schema.family is not Family.FILES:  # a file has no index
        questions = asked_of_source(taking.ports, bench, taking.provider, taking.wish.collection, questions)
    body = write_canary(questions)
    if not questions or len(body) > MAX_CANARY:
        return []
    return [canary_layer(questions, taking.keep.small(body))]


def _definition(taking: Taking) -> list[Descriptor]:
    collections = taking.provider.collections
    text = collections.definition(taking.wish.collection) if isinstance(collections, Defining) else ""
    body = readable_text(text).encode()
    if not 0 < len(body) <= MAX_DEFINITION:
        return []
    return [Descriptor.of(taking.keep.small(body), _TEXT_TYPE, **{oci.TITLE: DEFINITION})]
