"""Settings of the engine, from the environment (`ENGINE_…`), and how they travel to the worker process.

Nothing here opens a file or a connection.
"""

import json
from importlib import resources
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "ENGINE_"


def packaged_base() -> Path:
    """The folder of the base checkpoint that is shipped with the package."""
    return Path(str(resources.files("portraitist.engine.tiny"))) / "checkpoint"


class Settings(BaseSettings):
    """What an operator may decide. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    database_url: SecretStr
    """PostgreSQL of the engine alone; the same role migrates and serves."""
    token: SecretStr
    """What a caller sends as `Authorization: Bearer …` (or `Token …`)."""
    work_dir: Path
    """Local scratch: job folders and the cache of versions. May be lost without loss of data."""
    storage_url: str = ""
    """Objects (`file:///…`, `s3://…`); by default a folder `objects` in `work_dir`."""
    username: str = Field(default="portraitist", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """The one account's name."""
    host: str = "127.0.0.1"
    """Where it listens."""
    port: int = Field(default=8188, ge=0, le=65535)
    """The port where it listens."""
    public_url: str = ""
    """Address that callers see, without `/v1`; by default `http://host:port`."""
    base: Path = Field(default_factory=packaged_base)
    """The base checkpoint (diffusers format) that members' models are trained from."""
    max_steps: int | None = Field(default=None, ge=1)
    """A fixed budget of training steps; without it the steps are fitted to `train_seconds`."""
    train_seconds: float = Field(default=215.0, gt=0)
    """What a training may take on this machine; one that is too slow takes longer rather than make a useless model."""
    allow_http_webhooks: bool = False
    """Whether webhooks may go to addresses without https."""
    allowed_origins: list[str] = Field(default_factory=list)
    """Origins (`http://127.0.0.1:8000`) that webhooks and zip downloads may reach though not global."""
    lease_s: float = Field(default=30.0, gt=0)
    """A run whose worker gives no sign of life for so long is taken over by another."""
    retention_s: float = Field(default=3600.0, gt=0)
    """A prediction's input, output and logs are removed so long after its end, as the cloud does."""
    file_ttl_s: float = Field(default=86400.0, gt=0)
    """Uploaded files expire so long after their creation."""

    @property
    def address(self) -> str:
        """The public base URL, without a slash at the end and without `/v1`."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/").removesuffix("/v1")

    @property
    def objects_url(self) -> str:
        """Where the object store lives."""
        return self.storage_url or f"file://{self.work_dir.absolute() / 'objects'}"

    def environment(self) -> dict[str, str]:
        """These settings as environment variables: what the worker process is started with."""
        values: dict[str, str] = {}
        for name, value in self:
            if value is None:
                continue
            plain = value.get_secret_value() if isinstance(value, SecretStr) else value
            text = json.dumps(plain) if isinstance(plain, (list, bool)) else str(plain)
            values[PREFIX + name.upper()] = text
        return values
