"""The registry's settings: arguments, then `REGALIA_SERVER_<NAME>`, then `server.toml` in the data folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from regalia.core.errors import ConfigurationError
from regalia.core.manifest import MAX_BLOB

_FILE = "server.toml"
_PREFIX = "REGALIA_SERVER_"


def _split(given: object) -> object:
    """Take `a, b` as an environment variable writes it."""
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given


class Settings(BaseSettings):
    """What can be set; every name is also an environment variable."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    data: Path
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=7117, ge=0, le=65535)
    workers: int = Field(default=2, ge=1, le=64)
    drain_s: int = Field(default=0, ge=0, le=300)
    grace_s: int = Field(default=8, ge=1, le=3600)
    lease_s: int = Field(default=60, ge=4, le=3600)  # 4: the grace is at least the second that the catalog counts in
    database: str = ""
    blobs: str = ""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    max_blob_bytes: int = Field(default=MAX_BLOB, ge=1, le=MAX_BLOB)
    retire_after_hours: int = Field(default=168, ge=24)
    metrics_host: str = Field(default="127.0.0.1", min_length=1)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    local_port: int = Field(default=0, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @property
    def database_url(self) -> str:
        """Where the catalog is; the default is a file in the data folder."""
        return self.database or f"sqlite:///{self.data / 'registry.db'}"

    @property
    def blobs_url(self) -> str:
        """Where the blobs are; the default is a folder in the data folder."""
        return self.blobs or f"file://{quote(str(self.data / 'blobs'))}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # the hook's signature; no .env file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 # the hook's signature; no secrets folder is read
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the file."""
        file = TomlConfigSettingsSource(settings_cls, Path(init_settings()["data"]) / _FILE)
        return init_settings, env_settings, file


def load_settings(
    *, data: Path, host: str | None = None, port: int | None = None, workers: int | None = None
) -> Settings:
    """Read the settings of a data folder; arguments win.

    Raises:
        ConfigurationError: A setting is unknown or out of bounds, or the file can't be read.
    """
    given = {"host": host, "port": port, "workers": workers}
    arguments = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(data=data, **arguments)  # type: ignore[arg-type] # pydantic checks
    except ValidationError as error:
        raise _refused(error, arguments, data / _FILE) from error
    except (OSError, ValueError) as error:  # the file's, and tomllib's own
        raise ConfigurationError(
            f'"{data / _FILE}" can\'t be read: {error}', hint="it is TOML, a line a setting: port = 7117"
        ) from error


def _refused(error: ValidationError, arguments: Mapping[str, object], file: Path) -> ConfigurationError:
    """Tell the first fault, and where the setting came from."""
    fault = error.errors()[0]
    name = str(fault["loc"][0])
    variable = _PREFIX + name.upper()
    place = f"--{name}" if name in arguments else variable if os.environ.get(variable) else str(file)
    if fault["type"] == "extra_forbidden":
        known = ", ".join(field for field in Settings.model_fields if field != "data")
        return ConfigurationError(f'there is no setting "{name}" ({place})', hint=f"the settings are {known}")
    told = fault["msg"][:1].lower() + fault["msg"][1:]
    return ConfigurationError(f'the setting "{name}" is wrong: {told}', hint=f"correct it in {place}")
