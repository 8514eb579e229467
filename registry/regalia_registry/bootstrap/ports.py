"""The adapters that every process of the service needs."""

from datetime import timedelta
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from regalia.core.errors import ConfigurationError
from regalia.places import ROOT_FILE, server_keys_folder
from regalia_registry.adapters.counted import counted
from regalia_registry.adapters.keys import FolderKeys, FolderRoot
from regalia_registry.adapters.sql.store import SqlStore
from regalia_registry.adapters.system import SystemClock, SystemIds
from regalia_registry.adapters.vectors.pgvector import places
from regalia_registry.domain.retention import Retention
from regalia_registry.ports.blobs import BlobStore
from regalia_registry.ports.counting import Counts, Uncounted
from regalia_registry.services.context import LocalEngine, Ports
from regalia_registry.settings import Settings

_BLOBS = "regalia.blobs"


def make_ports(settings: Settings, counts: Counts | None = None) -> Ports:
    """Build the adapters that the settings name; what they do is counted in `counts`, if anywhere."""
    counting = Uncounted() if counts is None else counts
    store, clock = SqlStore.open(settings.database_url), SystemClock()
    return Ports(
        store=store,
        blobs=counted(_open_blobs(settings.blobs_url), counting),
        clock=clock,
        shared_clock=store.clock(clock),
        ids=SystemIds(),
        keys=FolderKeys(server_keys_folder(settings.data)),
        root_file=FolderRoot(settings.data / ROOT_FILE),
        local=_local_engine(settings),
        retention=Retention(unbound=timedelta(hours=settings.retire_after_hours)),
        counts=counting,
    )


def _local_engine(settings: Settings) -> LocalEngine:
    folder = places.embedded_folder(settings.data)
    url = places.agents_url(folder, port=settings.local_port)
    return LocalEngine(url, str(folder / places.PASSWORD_FILE) if settings.local_port else None)


def _open_blobs(url: str) -> BlobStore:
    """Find who opens this kind of address; anybody may add one under the entry point group `regalia.blobs`."""
    scheme = urlsplit(url).scheme
    found = {point.name: point for point in entry_points(group=_BLOBS)}
    if scheme not in found:
        raise ConfigurationError(
            f'no blob store opens "{scheme}:" addresses',
            hint=f"known: {', '.join(sorted(found))}; see REGALIA_SERVER_BLOBS",
        )
    try:
        opened: BlobStore = found[scheme].load()(url)
    except OSError as error:
        raise ConfigurationError(f"the blob store can't be opened: {error.strerror}") from error
    return opened
