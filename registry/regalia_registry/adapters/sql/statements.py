"""What the repositories share: the tables as Core sees them, and lists cut to fit a statement."""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TypeVar

from sqlmodel import SQLModel

from regalia_registry.adapters.sql import tables

_PARAMETERS = 1000  # below every database's limit of parameters in one statement

_TABLES = SQLModel.metadata.tables
ARTIFACT = _TABLES[str(tables.Artifact.__tablename__)]
ARTIFACT_NAME = _TABLES[str(tables.ArtifactName.__tablename__)]
BUNDLE = _TABLES[str(tables.Bundle.__tablename__)]
CHANNEL = _TABLES[str(tables.Channel.__tablename__)]
POINTER = _TABLES[str(tables.Pointer.__tablename__)]
HOLD = _TABLES[str(tables.BundleHold.__tablename__)]
ROOT = _TABLES[str(tables.TrustRoot.__tablename__)]
BLOB = _TABLES[str(tables.NamespaceBlob.__tablename__)]
CLAIM = _TABLES[str(tables.BlobClaim.__tablename__)]
TOKEN = _TABLES[str(tables.AccessToken.__tablename__)]
ENTRY = _TABLES[str(tables.AuditEntry.__tablename__)]
TEXT = _TABLES[str(tables.AuditText.__tablename__)]
DEPLOYMENT = _TABLES[str(tables.Deployment.__tablename__)]
OPERATION = _TABLES[str(tables.Operation.__tablename__)]
EVENT = _TABLES[str(tables.OperationEvent.__tablename__)]
TARGET = _TABLES[str(tables.Target.__tablename__)]
COLLECTION = _TABLES[str(tables.Collection.__tablename__)]
PLACING = _TABLES[str(tables.ChannelPlacing.__tablename__)]
SETTING = _TABLES[str(tables.ChannelSetting.__tablename__)]
AGENT = _TABLES[str(tables.Agent.__tablename__)]
PROVENANCE = _TABLES[str(tables.Provenance.__tablename__)]

Value = TypeVar("Value")


def batches(values: Collection[Value]) -> Iterator[list[Value]]:
    """Cut a collection so that each part fits one statement."""
    remaining = iter(values)
    while batch := list(islice(remaining, _PARAMETERS)):
        yield batch
