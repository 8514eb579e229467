"""Keeping what is served as it was proved: aliases lead where their channels are, and sealed collections are sealed.

Run by every worker, every few seconds, for ever; nothing here moves a channel.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from regalia.core.errors import NotFoundError, RegaliaError
from regalia_registry.domain.operations import MOVES, Holder, Target
from regalia_registry.domain.placing import ChannelPlacings, Collection, Placing
from regalia_registry.domain.series import FIXED, VECTOR_ERRORS
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Provider, Targets
from regalia_registry.services.context import Ports
from regalia_registry.services.steps.aliases import lead
from regalia_registry.services.steps.movejournal import closed_by
from regalia_registry.services.steps.pointers import taken_collections
from regalia_registry.services.steps.sealing import is_intact, seals_of
from regalia_registry.services.steps.targets import get_target
from regalia_registry.services.steps.uses import all_collections

_ALL_EVERY = 12  # rounds: then warm copies are looked at too, and aliases set that lead where they should

log = structlog.get_logger("regalia.worker")


@dataclass
class Reconciler:
    """One worker's reconciler; its connections outlive a round."""

    ports: Ports
    targets: Targets
    holder: Holder
    _providers: dict[Target, Provider] = field(default_factory=dict)
    _round: int = 0

    def run(self) -> None:
        """Go through all that is served once; what can't be reached now is left for the next round."""
        with self.ports.store.read() as tx:
            served, placings = _served(tx), tx.placings.list()
            sealed = [one for one in (all_collections(tx) if self._is_thorough else served) if one.is_warm]
            live = _written_into(tx, served)
        for collection in sealed:
            self._reach(collection.target, collection.name, partial(self._look, collection))
        for collection in live:
            self._reach(collection.target, collection.name, partial(self._let_in, collection))
        for channel in placings:
            for placing in channel.placings:
                if placing.alias is not None:
                    self._reach(
                        placing.target,
                        placing.alias,
                        partial(self._lead, channel, placing),
                    )
        self._round += 1

    @property
    def _is_thorough(self) -> bool:
        return self._round % _ALL_EVERY == 0

    def close(self) -> None:
        """Close the connections."""
        while self._providers:
            _, provider = self._providers.popitem()
            with suppress(RegaliaError):
                provider.close()

    def _look(self, collection: Collection, provider: Provider) -> None:
        if not is_intact(self.ports.store, provider, collection):
            log.warning("collection drifted", collection=collection.name, target=collection.target)

    def _let_in(self, collection: Collection, provider: Provider) -> None:
        """Let writers in that a move had stopped which was given up while its engine did not answer.

        A move may come meanwhile that wants them stopped, or has left the collection: then they are stopped again.
        """
        seals, mark = seals_of(provider), collection.mark
        if not seals.standing(collection.name, mark=mark).sealed or not self._is_written_into(collection):
            return
        seals.unseal(collection.name, mark=mark)
        log.info("writers let in", collection=collection.name, target=collection.target)
        if not self._is_written_into(collection):
            seals.seal(collection.name, mark=mark)

    def _is_written_into(self, collection: Collection) -> bool:
        with self.ports.store.read() as tx:
            return collection.id in {one.id for one in _written_into(tx, _served(tx))}

    def _lead(self, of: ChannelPlacings, placing: Placing, provider: Provider) -> None:
        led = lead(self.ports, provider, of.application, of.channel, placing, again=self._is_thorough)
        if led is not None and led.is_changed:
            log.info("alias set", alias=led.alias, collection=led.collection, target=placing.target)

    def _reach(self, target: str, about: str, act: Callable[[Provider], None]) -> None:
        """Act on a target; a connection that failed is not used again."""
        with self.ports.store.read() as tx:
            try:
                found = get_target(tx, target)
            except NotFoundError:  # it was removed, and with it the way there
                return
        try:
            if found not in self._providers:
                self._providers[found] = self.targets.connect(found, holder=self.holder)
            act(self._providers[found])
        except RegaliaError as error:
            self.ports.counts.add(FIXED.cell(VECTOR_ERRORS, found.provider))
            log.warning("not reconciled", target=target, about=about, error=error.message)
            broken = self._providers.pop(found, None)
            if broken is not None:
                with suppress(RegaliaError):
                    broken.close()


def _written_into(tx: Transaction, served: list[Collection]) -> list[Collection]:
    """Give those that applications write into, but where an open move has stopped the writers."""
    moves = (one for one in tx.operations.list_open() if one.kind in MOVES)
    closed = {name for move in moves for name in closed_by(move)}
    return [one for one in served if one.is_live and one.id not in closed]


def _served(tx: Transaction) -> list[Collection]:
    """List the collections that pointers name, or will."""
    found = (tx.collections.find(*named) for named in sorted(taken_collections(tx)))
    return [one for one in found if one is not None]
