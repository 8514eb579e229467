"""Snapshots as files: asked for here, done by a worker."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from regalia.core.digest import Digest
from regalia.core.names import check_segment, check_version
from regalia.wire.answers import OperationEntry
from regalia_registry.domain.files import ExportWish, FileForm, ImportWish
from regalia_registry.http.dependencies import CurrentCaller, CurrentPorts, NamespacePath
from regalia_registry.http.routes.operations import EmbeddingIn
from regalia_registry.services import operations

router = APIRouter(prefix="/v1/namespaces/{namespace}", tags=["operations"])


class VersionIn(BaseModel):
    """A version of a snapshot."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64)
    version: str = Field(max_length=128)


class ExportIn(BaseModel):
    """How a snapshot is to be one file; with `since`, only the rows that changed from that version on."""

    model_config = ConfigDict(extra="forbid")

    form: FileForm = FileForm.PARQUET
    since: VersionIn | None = None


class ImportIn(BaseModel):
    """A file of rows that was sent as a blob, and what the snapshot of it is to be called."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field(max_length=80)
    form: FileForm
    name: str = Field(max_length=64)
    embedding: EmbeddingIn | None = None


@router.post("/snapshots/{name}/{version}/export", status_code=202)
def start_export(
    namespace: NamespacePath, name: str, version: str, sent: ExportIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask for a version as one file; a worker writes it, and the outcome names its blob."""
    before = sent.since
    since = None if before is None else (check_segment(before.name, what="snapshot"), check_version(before.version))
    wish = ExportWish(check_segment(name, what="snapshot"), check_version(version), sent.form, since)
    return operations.start(ports, caller, namespace=namespace, wish=wish)


@router.post("/imports", status_code=202)
def start_import(
    namespace: NamespacePath, sent: ImportIn, caller: CurrentCaller, ports: CurrentPorts
) -> OperationEntry:
    """Ask for a snapshot of a file; a worker takes it."""
    name, given = check_segment(sent.name, what="snapshot"), sent.embedding
    wish = ImportWish(name, Digest.parse(sent.file), sent.form, None if given is None else given.embedding())
    return operations.start(ports, caller, namespace=namespace, wish=wish)
