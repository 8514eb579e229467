"""What an agent should notice without stopping: the logger `regalia`."""

import logging

_LOGGER = logging.getLogger("regalia")


def warn(text: str) -> None:
    """Log a warning."""
    _LOGGER.warning("%s", text)
