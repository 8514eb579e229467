"""Keeping what is served as it was proved: aliases lead where their channels are, and sealed collections are sealed.

Run by every worker, every few seconds, for ever; nothing here moves a channel.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from regalia.core.errors import NotFoundError, RegaliaError
from regalia_registry.domain.operations import Holder, Target
from regalia_registry.domain.placing import ChannelPlacings, Collection, CollectionState, Placing
from regalia_registry.ports.store import Transaction
from regalia_registry.ports.vectors import Provider, Targets
from regalia_registry.services.context import Ports
from regalia_registry.services.steps.aliases import lead
from regalia_registry.services.steps.planning import bound_collections
from regalia_registry.services.steps.sealing import is_intact, seals_of
from regalia_registry.services.steps.targets import get_target
from regalia_registry.services.steps.uses import awaited_by

_PAGE = 200
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
            sealed, placings = self._sealed(tx), tx.placings.list()
        for collection in sealed:
            self._reach(collection.target, collection.name, partial(self._look, collection))
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

    def _sealed(self, tx: Transaction) -> list[Collection]:
        """List the collections that pointers name or will, and now and then all that a move would take as they are."""
        found, after = list[Collection](), None
        while True:
            page = tx.collections.list(after=after, limit=_PAGE)
            found += [one for one in page if one.is_warm]
            if len(page) < _PAGE:
                break
            after = page[-1].id
        if self._is_thorough:
            return found
        awaited = {(one.target, one.collection) for opened in tx.operations.list_open() for one in awaited_by(opened)}
        served = bound_collections(tx) | awaited
        return [one for one in found if (one.target, one.name) in served]

    def _look(self, collection: Collection, provider: Provider) -> None:
        """Look whether a collection is as it was; one that is not is used by no move any more.

        A move may have opened it for its application meanwhile: then it is let be, and what was sealed is opened again.
        """
        is_as_it_was = is_intact(provider, collection)
        with self.ports.store.read() as tx:
            there = tx.collections.get(collection.id)
        if not there.is_warm:
            if there.is_live:
                seals_of(provider).unseal(there.name, mark=there.mark)
            return
        if is_as_it_was or there.marker != collection.marker:
            return
        log.warning("collection drifted", collection=collection.name, target=collection.target)
        with self.ports.store.note() as tx:
            tx.collections.update(there.drifted(), expected=CollectionState.READY)

    def _lead(self, of: ChannelPlacings, placing: Placing, provider: Provider) -> None:
        led = lead(self.ports.store, provider, of.application, of.channel, placing, again=self._is_thorough)
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
            log.warning("not reconciled", target=target, about=about, error=error.message)
            broken = self._providers.pop(found, None)
            if broken is not None:
                with suppress(RegaliaError):
                    broken.close()
