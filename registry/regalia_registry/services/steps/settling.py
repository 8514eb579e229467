"""What is left to do once a channel has moved: it can wait, and it is done for ever."""

from regalia.core.strict_json import JsonObject
from regalia_registry.domain.operations import Operation


def settle(operation: Operation) -> JsonObject:
    """Give the outcome of a move that leaves nothing to do."""
    return operation.outcome or {}
