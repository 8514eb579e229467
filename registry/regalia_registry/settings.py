"""The registry's settings: arguments, then `REGALIA_SERVER_<NAME>`, then `server.toml` in the data folder."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from regalia.core.errors import ConfigurationError
from regalia.core.manifest import MAX_BLOB

_FILE = "server.toml"


class Settings(BaseSettings):
    """What can be set; every name is also an environment variable."""

    model_config = SettingsConfigDict(env_prefix="REGALIA_SERVER_", extra="forbid", frozen=True)

    data: Path
    host: str = "127.0.0.1"
    port: int = Field(default=7117, ge=0, le=65535)
    workers: int = Field(default=2, ge=1, le=64)
    database: str = ""
    blobs: str = ""
    allowed_hosts: tuple[str, ...] = ()
    max_blob_bytes: int = Field(default=MAX_BLOB, ge=1, le=MAX_BLOB)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def database_url(self) -> str:
        """Where the catalog is; the default is a file in the data folder."""
        return self.database or f"sqlite:///{self.data / 'registry.db'}"

    @property
    def blobs_url(self) -> str:
        """Where the blobs are; the default is a folder in the data folder."""
        return self.blobs or f"file://{self.data / 'blobs'}"

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
        given = init_settings()
        file = TomlConfigSettingsSource(settings_cls, Path(given["data"]) / _FILE)
        return init_settings, env_settings, file


def load_settings(
    *, data: Path, host: str | None = None, port: int | None = None, workers: int | None = None
) -> Settings:
    """Read the settings of a data folder; arguments win.

    Raises:
        ConfigurationError: A setting is unknown or out of bounds.
    """
    given = {"host": host, "port": port, "workers": workers}
    try:
        return Settings(data=data, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type] # pydantic checks
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        raise ConfigurationError(
            f'the setting "{name}" is wrong: {fault["msg"]}',
            hint=f"see {_FILE} in the data folder, and REGALIA_SERVER_{name.upper()}",
        ) from error
    except ValueError as error:  # tomllib's own
        raise ConfigurationError(f'"{_FILE}" in the data folder is not TOML: {error}') from error
