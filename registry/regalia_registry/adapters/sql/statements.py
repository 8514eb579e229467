"""What the repositories share: the tables as Core sees them, and an insert that tells a conflict."""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection, Insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from regalia_registry.adapters.sql import tables

_PARAMETERS = 500  # below every database's limit of parameters in one statement

_TABLES = SQLModel.metadata.tables
ARTIFACT = _TABLES[str(tables.Artifact.__tablename__)]
ARTIFACT_NAME = _TABLES[str(tables.ArtifactName.__tablename__)]
BUNDLE = _TABLES[str(tables.Bundle.__tablename__)]
CHANNEL = _TABLES[str(tables.Channel.__tablename__)]
POINTER = _TABLES[str(tables.Pointer.__tablename__)]
HOLD = _TABLES[str(tables.BundleHold.__tablename__)]
ROOT = _TABLES[str(tables.TrustRoot.__tablename__)]
BLOB = _TABLES[str(tables.NamespaceBlob.__tablename__)]
TOKEN = _TABLES[str(tables.AccessToken.__tablename__)]
ENTRY = _TABLES[str(tables.AuditEntry.__tablename__)]
TEXT = _TABLES[str(tables.AuditText.__tablename__)]
DEPLOYMENT = _TABLES[str(tables.Deployment.__tablename__)]

Value = TypeVar("Value")


def inserted(connection: Connection, statement: Insert) -> bool:
    """Insert, or say that a unique constraint refused; the transaction goes on either way."""
    try:
        with connection.begin_nested():
            connection.execute(statement)
    except IntegrityError:
        return False
    return True


def batches(values: Collection[Value]) -> Iterator[list[Value]]:
    """Cut a collection so that each part fits one statement."""
    remaining = iter(values)
    while batch := list(islice(remaining, _PARAMETERS)):
        yield batch
