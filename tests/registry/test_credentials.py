"""Reading a secret from where a credential says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regalia.core.errors import AccessError, ConfigurationError, RegaliaError, UnavailableError
from regalia_registry.adapters.vectors.credentials import read_secret
from tests.servers.secrets_manager import Secrets, serving

SECRET = "hunter2"
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:kb-a1B2c3"
TEXTS = {
    "plain": SECRET,
    ARN: SECRET,
    "rds": json.dumps({"username": "reader", "password": SECRET, "port": 5432}),
    "list": json.dumps([SECRET]),
    "lines": f"{SECRET}\nmore",
    "empty": "",
}
REFUSALS = {
    "denied": (400, "AccessDeniedException"),
    "sealed": (400, "DecryptionFailure"),
    "expired": (400, "ExpiredTokenException"),
    "strange": (403, "UnrecognizedClientException"),
    "deleted": (400, "InvalidRequestException"),
    "throttled": (400, "ThrottlingException"),
    "broken": (500, "InternalServiceError"),
    "unheard": (400, "SomethingElse"),
}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Secrets]:
    with serving(Secrets(TEXTS, {"binary": SECRET.encode()}, REFUSALS)) as served:
        for name, value in served.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "absent"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))
        yield served


def told(credential: str) -> tuple[type[RegaliaError], str]:
    with pytest.raises(RegaliaError) as caught:
        read_secret(credential)
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.hint
    return type(caught.value), caught.value.message


def test_a_target_without_a_credential_has_no_secret() -> None:
    assert read_secret(None) is None


def test_a_secret_is_read_from_the_environment_and_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KB_PASSWORD", SECRET)
    (tmp_path / "kb").write_text(f"{SECRET}\n")

    assert [read_secret("env:KB_PASSWORD"), read_secret(f"file:{tmp_path / 'kb'}")] == [SECRET, SECRET]


def test_what_is_not_there_or_no_line_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "two").write_text(f"{SECRET}\n{SECRET}\n")
    (tmp_path / "bytes").write_bytes(b"\xff" + SECRET.encode())
    (tmp_path / "long").write_text(SECRET * 2000)
    places = [
        "env:ABSENT",
        "env:EMPTY",
        *(f"file:{tmp_path / name}" for name in ("absent", "two", "bytes", "long", "")),
    ]

    assert [told(place)[0] for place in places] == [ConfigurationError] * len(places)


@pytest.mark.parametrize("place", ["plain", ARN, "rds#password"])
def test_a_secret_is_read_from_aws(secrets: Secrets, place: str) -> None:
    assert read_secret(f"aws-secretsmanager:{place}") == SECRET
    assert secrets.asked == [place.partition("#")[0]]


@pytest.mark.parametrize(
    ("place", "kind", "words"),
    [
        ("absent", ConfigurationError, "there is no such secret"),
        ("deleted", ConfigurationError, "is being deleted"),
        ("binary", ConfigurationError, "holds no text"),
        ("plain#password", ConfigurationError, "is no JSON object"),
        ("list#password", ConfigurationError, 'has no text "password"'),
        ("rds#absent", ConfigurationError, 'has no text "absent"'),
        ("rds#port", ConfigurationError, 'has no text "port"'),
        ("lines", ConfigurationError, "no secret of one line"),
        ("empty", ConfigurationError, "no secret of one line"),
        ("denied", AccessError, "may not read the secret"),
        ("sealed", AccessError, "may not decrypt"),
        ("expired", AccessError, "has expired"),
        ("strange", AccessError, "is not known"),
        ("unheard", UnavailableError, "AWS answers SomethingElse"),
    ],
)
@pytest.mark.usefixtures("secrets")
def test_what_aws_refuses_is_told_in_words(place: str, kind: type[RegaliaError], words: str) -> None:
    found, message = told(f"aws-secretsmanager:{place}")

    assert found is kind
    assert words in message


@pytest.mark.parametrize("place", ["throttled", "broken"])
def test_an_aws_that_is_busy_is_asked_again_and_then_told(secrets: Secrets, place: str) -> None:
    assert told(f"aws-secretsmanager:{place}")[0] is UnavailableError
    assert secrets.asked == [place] * 3


def test_an_aws_that_does_not_answer_is_told(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")

    assert told("aws-secretsmanager:plain")[0] is UnavailableError
    assert secrets.asked == []


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("AWS_ACCESS_KEY_ID", "", "no AWS identity"),
        ("AWS_PROFILE", "absent", "ProfileNotFound"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "nowhere", "ValueError"),
    ],
)
@pytest.mark.usefixtures("secrets")
def test_an_aws_setting_that_is_missing_or_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)

    found, message = told("aws-secretsmanager:plain")

    assert found is ConfigurationError
    assert words in message


@pytest.mark.usefixtures("secrets")
def test_an_aws_without_a_region_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_SECRETS_MANAGER")
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert "no region is set" in told("aws-secretsmanager:plain")[1]


def test_who_keeps_no_secret_in_aws_loads_no_boto() -> None:
    script = (
        "import sys; from regalia_registry.adapters.vectors import credentials; "
        "credentials.read_secret('env:HOME'); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert {"boto3", "botocore"} & set(loaded) == set()
