"""JSON Schema: is it one, and does a value keep to it. Nothing is fetched."""

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from regalia.core.errors import SourceError
from regalia.core.strict_json import JsonObject, JsonValue

_MAX_TOLD = 20


def check_schema(schema: JsonObject, *, what: str) -> None:
    """Refuse what is no JSON Schema.

    Raises:
        SourceError: It is none; the message says where.
    """
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        raise SourceError(f"{what} is no JSON Schema: {error.json_path}: {error.message[:200]}") from error


def faults_of(value: JsonValue, schema: JsonObject) -> list[tuple[str, str]]:
    """Hold a value against a schema: where and what, without the value's own text.

    Raises:
        SourceError: The schema refers to another document, which is not fetched.
    """
    validator = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())
    try:
        faults = sorted(validator.iter_errors(value), key=lambda fault: fault.json_path)
    except Unresolvable as error:
        raise SourceError(
            f"the schema refers to {str(error)[:200]}, which is not in it", hint="write it into the schema: $defs"
        ) from error
    return [(fault.json_path, f"{fault.validator} {_short(fault.validator_value)}") for fault in faults[:_MAX_TOLD]]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
