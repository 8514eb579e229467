"""Reading a target's secret from where its credential says; it is kept nowhere."""

import importlib
import os
from pathlib import Path

from regalia.core.errors import ConfigurationError

_MAX_SECRET = 8192
_AWS = "regalia_registry.adapters.vectors.aws_secrets"


def read_secret(credential: str | None) -> str | None:
    """Read the secret that a credential names; None where there is no credential.

    Raises:
        ConfigurationError: It is not there, or is no text of one line.
        AccessError: The worker may not read it.
        UnavailableError: What keeps it does not answer.
    """
    if credential is None:
        return None
    kind, _, place = credential.partition(":")
    found = {"env": _of_environment, "file": _of_file, "aws-secretsmanager": _of_aws}[kind](place)
    if not found or "\x00" in found or "\n" in found or len(found) > _MAX_SECRET:
        raise ConfigurationError(
            f'what "{credential}" names is no secret of one line', hint="it holds the password or key, and nothing else"
        )
    return found


def _of_environment(name: str) -> str:
    found = os.environ.get(name)
    if found is None:
        raise ConfigurationError(
            f"the worker's environment has no {name}", hint="set it where reg serve or reg worker runs"
        )
    return found


def _of_file(place: str) -> str:
    try:
        with Path(place).open("rb") as file:
            return file.read(_MAX_SECRET + 1).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f'the secret in "{place}" can\'t be read', hint="it is a file that the worker may read"
        ) from error


def _of_aws(place: str) -> str:
    identity, _, key = place.partition("#")
    try:
        module = importlib.import_module(_AWS)  # boto3 takes 0.3 s and 30 MB: only who keeps secrets there loads it
    except ImportError as error:
        raise ConfigurationError(f"a library is missing: {error.name}", hint="pip install 'regalia[server]'") from error
    found: str = module.read_aws_secret(identity, key=key or None)
    return found
