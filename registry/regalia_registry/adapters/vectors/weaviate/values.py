"""Properties between Weaviate's messages and canonical JSON, by the types of the class."""

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from google.protobuf import struct_pb2
from weaviate.proto.v1 import properties_pb2, search_get_pb2

from regalia.core.errors import DocumentError
from regalia_registry.adapters.vectors.weaviate.grammar import Nested
from regalia_registry.domain.snapshots.properties import normaliser
from regalia_registry.domain.snapshots.rows import encode_properties

_EIGHT = 8
_MAX_DOUBLE = 2**1023
_LOWEST = -(2**63)
_DATE = normaliser("date")

Decode = Callable[[Any], object]


def decoders(properties: Iterable[Nested]) -> dict[str, Decode]:
    """Give what reads each property out of a `Value` message."""
    return {one.name: _decoder(one) for one in properties}


def decode(message: properties_pb2.Properties, given: Mapping[str, Decode]) -> dict[str, object]:
    """Read a row's properties; Weaviate names every property of the class, absent ones as null."""
    found: dict[str, object] = {}
    fields = message.fields
    for name, reads in given.items():
        if name in fields and not (value := fields[name]).HasField("null_value"):
            found[name] = reads(value)
    return found


def canonical(message: properties_pb2.Properties, given: Mapping[str, Decode]) -> bytes:
    """Write a row's properties in their one form."""
    return encode_properties(decode(message, given))


def encode(properties: bytes) -> struct_pb2.Struct:
    """Turn canonical properties into what a batch takes; Weaviate reads each value by the property's type."""
    made = struct_pb2.Struct()
    made.update(json.loads(properties, parse_int=_exact))
    return made


def asked(properties: Sequence[Nested]) -> search_get_pb2.PropertiesRequest:
    """Ask for properties by name: "all" leaves out blobs."""
    return search_get_pb2.PropertiesRequest(
        non_ref_properties=[one.name for one in properties if not one.children],
        object_properties=[_asked_object(one) for one in properties if one.children],
    )


def _asked_object(one: Nested) -> search_get_pb2.ObjectPropertiesRequest:
    return search_get_pb2.ObjectPropertiesRequest(
        prop_name=one.name,
        primitive_properties=[child.name for child in one.children if not child.children],
        object_properties=[_asked_object(child) for child in one.children if child.children],
    )


def _decoder(one: Nested) -> Decode:
    if one.type in {"object", "object[]"}:
        reads = decoders(one.children)
        if one.type == "object":
            return lambda value: _object(value.object_value, reads)
        return lambda value: [_object(child, reads) for child in value.list_value.object_values.values]
    found = _DECODERS.get(one.type)
    if found is None:
        raise DocumentError(f"the property {one.name} has the type {one.type[:40]}, which has no canonical form")
    return found


def _exact(digits: str) -> int:
    """Read an integer that survives: Weaviate keeps all numbers as doubles, and rounds what is no double silently."""
    value = int(digits)
    if abs(value) > _MAX_DOUBLE or int(float(value)) != value:
        raise DocumentError(
            f"the integer {digits[:40]} is beyond what Weaviate keeps exactly (2^53)",
            hint="load it into PostgreSQL, or import it with that property as text",
        )
    return value


def _object(message: properties_pb2.Properties, reads: Mapping[str, Decode]) -> dict[str, object]:
    """Read an object: inside one, Weaviate tells null from absent, and so do we."""
    return {
        name: None if value.HasField("null_value") else reads[name](value)
        for name, value in message.fields.items()
        if name in reads
    }


def _geo(value: properties_pb2.Value) -> object:
    return {"latitude": value.geo_value.latitude, "longitude": value.geo_value.longitude}


def _phone(value: properties_pb2.Value) -> object:
    """Keep what was sent; the rest is the server's, by its version."""
    phone = value.phone_value
    sent = {"input": phone.input}
    return sent | {"defaultCountry": phone.default_country} if phone.default_country else sent


def _packed(packing: str, values: bytes) -> list[object]:
    return list(struct.unpack(f"<{len(values) // _EIGHT}{packing}", values))


def _in_range(value: int) -> int:
    """Refuse what Weaviate gives for integers that it can't: the lowest of 64 bits stands for 2^63-1 too."""
    if value == _LOWEST:
        raise DocumentError("an integer is beyond what Weaviate keeps", hint="keep it as text")
    return value


_ints, _numbers = partial(_packed, "q"), partial(_packed, "d")

_DECODERS: dict[str, Decode] = {
    "text": lambda value: value.text_value,
    "int": lambda value: _in_range(value.int_value),
    "number": lambda value: value.number_value,
    "boolean": lambda value: value.bool_value,
    "date": lambda value: _DATE(value.date_value),
    "uuid": lambda value: value.uuid_value,
    "geoCoordinates": _geo,
    "phoneNumber": _phone,
    "blob": lambda value: value.blob_value,
    "text[]": lambda value: list(value.list_value.text_values.values),
    "int[]": lambda value: _ints(value.list_value.int_values.values),
    "number[]": lambda value: _numbers(value.list_value.number_values.values),
    "boolean[]": lambda value: list(value.list_value.bool_values.values),
    "date[]": lambda value: [_DATE(one) for one in value.list_value.date_values.values],
    "uuid[]": lambda value: list(value.list_value.uuid_values.values),
}
