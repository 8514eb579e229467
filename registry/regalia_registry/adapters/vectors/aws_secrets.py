"""Reading a secret of AWS Secrets Manager. Region, endpoint and identity are boto3's own environment's."""

import json

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    TokenRetrievalError,
)

from regalia.core.errors import AccessError, ConfigurationError, RegaliaError, UnavailableError

_CONFIG = Config(connect_timeout=5, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
_ALLOW = "allow secretsmanager:GetSecretValue, and kms:Decrypt, to the worker's role"
_BY_CODE: dict[str, tuple[type[RegaliaError], str, str]] = {
    "ResourceNotFoundException": (ConfigurationError, "there is no such secret", "aws secretsmanager list-secrets"),
    "InvalidRequestException": (ConfigurationError, "the secret is being deleted", "restore it, or name another"),
    "InvalidParameterException": (ConfigurationError, "that is no secret's name", "a name or an ARN, then #KEY"),
    "ValidationException": (ConfigurationError, "that is no secret's name", "a name or an ARN, then #KEY"),
    "AccessDeniedException": (AccessError, "the worker may not read the secret", _ALLOW),
    "DecryptionFailure": (AccessError, "the worker may not decrypt the secret", _ALLOW),
    "UnrecognizedClientException": (AccessError, "the worker's AWS identity is not known", "renew its credentials"),
    "InvalidSignatureException": (AccessError, "the worker's AWS identity is not known", "renew its credentials"),
    "IncompleteSignatureException": (AccessError, "the worker's AWS identity is not known", "renew its credentials"),
    "ExpiredTokenException": (AccessError, "the worker's AWS identity has expired", "renew its credentials"),
}


def read_aws_secret(identity: str, *, key: str | None) -> str:
    """Read a secret, or one key of a secret that is a JSON object.

    Raises:
        ConfigurationError: It is not there, or no text; or this machine has no AWS identity or region.
        AccessError: The identity may not read it.
        UnavailableError: AWS does not answer, or not now.
    """
    place = f'the secret "{identity}" of AWS Secrets Manager'
    try:
        client = boto3.session.Session().client("secretsmanager", config=_CONFIG)
        answer = client.get_secret_value(SecretId=identity)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        kind, told, hint = _BY_CODE.get(code) or (
            UnavailableError,
            f"AWS answers {code[:64] or 'nothing'}",
            "try later",
        )
        raise kind(f"{place}: {told}", hint=hint) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, TokenRetrievalError) as error:
        raise ConfigurationError(
            f"{place}: the worker has no AWS identity", hint="a role, AWS_PROFILE, or AWS_ACCESS_KEY_ID and its secret"
        ) from error
    except NoRegionError as error:
        raise ConfigurationError(f"{place}: no region is set", hint="AWS_DEFAULT_REGION=eu-central-1") from error
    except (ConnectionError, HTTPClientError) as error:
        raise UnavailableError(f"{place}: AWS does not answer", hint="can the worker reach AWS?") from error
    except (
        BotoCoreError,
        ValueError,
    ) as error:  # ValueError is an endpoint that is no URL; a text could repeat an answer
        raise ConfigurationError(
            f"{place}: boto3 says {type(error).__name__}", hint="see the worker's AWS profile, region and endpoint"
        ) from error
    text = answer.get("SecretString")
    if not isinstance(text, str):
        raise ConfigurationError(f"{place} holds no text", hint="keep it as text, not as binary")
    return text if key is None else _key_of(text, key, place)


def _key_of(text: str, key: str, place: str) -> str:
    """Give one value; no message holds another, or a key that was not asked for."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{place} is no JSON object", hint="name it without #KEY") from error
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, str):
        raise ConfigurationError(f'{place} has no text "{key}"', hint="name a key of its JSON object: #KEY")
    return value
