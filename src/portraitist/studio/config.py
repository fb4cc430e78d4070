"""Settings of web and worker, read from the environment (or files it names).

Addresses, secrets and timings. What is locked (parameters of training and generation) is not here but in
`architecture.py`. Reading the environment happens in `StudioSettings()` and nowhere else in the studio.
"""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

CLOUD_URL = "https://api.replicate.com"


class StudioSettings(BaseSettings):
    """One instance of the studio, as configured at start. Names are the environment's, in upper case."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", secrets_dir=None, frozen=True)

    portraitist_home: Path = Field(description="The one data directory.")
    database_url: SecretStr = Field(description="PostgreSQL as the role app.")
    storage_url: str = Field(
        default="", description="file://, s3://, gs:// or az://; empty: a folder of the home."
    )
    replicate_base_url: str = Field(default=CLOUD_URL, description="Provider's address, with or without /v1.")
    replicate_api_token: SecretStr = Field(description="The provider account's token.")
    replicate_username: str = Field(min_length=1, description="Owner of the destination models; no default.")
    provider_accounts_file: Path | None = Field(
        default=None,
        description="More accounts, as [[account]] tables of a TOML file: id, username, token, base_url.",
    )
    public_url: str = Field(default="", description="How the outside reaches the studio; https, or empty.")
    webhooks_url: str = Field(
        default="",
        description="Where the provider's webhooks reach us; empty: PUBLIC_URL if that is https; off: nowhere.",
    )
    instance_token: SecretStr = Field(description="Opens the operator's part of the API.")
    secret_key: SecretStr = Field(
        description="Signs short-lived links to photos on their way to the provider."
    )
    studio_host: str = "127.0.0.1"
    studio_port: int = 8700
    worker_concurrency: int = Field(default=10, ge=1, le=200)
    sweep_seconds: float = Field(default=1.0, gt=0)
    heartbeat_seconds: float = Field(default=2.0, gt=0)
    stalled_after_seconds: float = Field(default=8.0, gt=0)
    poll_seconds: float | None = Field(default=None, gt=0, description="Time between looks at a running job.")
    list_lag_seconds: float | None = Field(
        default=None, ge=0, description="How late the provider's lists may be."
    )

    keep_weights: bool = Field(default=True, description="Copy trained weights into our own storage.")
    portraitist_failpoints: str = Field(
        default="", description="Where a test kills the worker (kit/failpoints)."
    )
    portraitist_testing: bool = Field(default=False, description="Whether this is a test, which may kill.")

    trainings_in_flight: int | None = Field(default=None, ge=1, description="At one account at once.")
    generations_in_flight: int | None = Field(default=None, ge=1, description="At one account at once.")
    trainings_per_member_per_day: int | None = Field(default=None, ge=1, description="Starts in 24 hours.")
    trainings_per_day: int | None = Field(default=None, ge=1, description="Starts per account in 24 hours.")
    provider_creates_per_minute: float | None = Field(default=None, gt=0)
    provider_others_per_minute: float | None = Field(default=None, gt=0)
    twins_seconds: float = Field(default=300.0, gt=0, description="Time between looks for double starts.")
    download_seconds: float = Field(default=120.0, gt=0, description="The longest one download may take.")

    @field_validator("replicate_base_url")
    @classmethod
    def without_version(cls, value: str) -> str:
        """Both `http://host` and `http://host/v1` are taken."""
        return value.rstrip("/").removesuffix("/v1")

    @property
    def is_cloud(self) -> bool:
        """Whether pictures are made by Replicate's cloud rather than by an engine of our own."""
        return self.replicate_base_url == CLOUD_URL

    @property
    def account_id(self) -> str:
        """The provider account that new trainings go to."""
        return "cloud" if self.is_cloud else "engine"

    @property
    def webhooks_base(self) -> str | None:
        """The address that providers are told to wake us at; the cloud takes https only. None: we only look."""
        given = self.webhooks_url or self.public_url
        plain_is_fine = bool(self.webhooks_url) and not self.is_cloud
        wanted = given.startswith("https://") or (plain_is_fine and given.startswith("http://"))
        return given if wanted else None

    @property
    def room_for_trainings(self) -> tuple[int, int | None]:
        """In flight at once, and starts in 24 hours (None: any): the cloud costs money, an own engine time."""
        usual, a_day = (50, 200) if self.is_cloud else (4, None)
        return self.trainings_in_flight or usual, self.trainings_per_day or a_day

    @property
    def room_for_generations(self) -> int:
        """In flight at once: enough to keep the provider busy, few enough that nobody's first waits behind many."""
        return self.generations_in_flight or (200 if self.is_cloud else 8)

    @property
    def training_starts_per_member(self) -> int | None:
        """Trainings that one member may begin in 24 hours; None: any number."""
        return self.trainings_per_member_per_day or (5 if self.is_cloud else None)

    @property
    def objects_url(self) -> str:
        """Where photos and pictures are kept."""
        return self.storage_url or f"file://{self.portraitist_home / 'objects'}"

    @property
    def poll_every(self) -> timedelta:
        """Time between looks at a running job: our own engine is near, the cloud counts requests."""
        return timedelta(seconds=self.poll_seconds or (5.0 if self.is_cloud else 1.0))

    @property
    def list_lag(self) -> timedelta:
        """How long a started job may be missing from the provider's lists."""
        default = 60.0 if self.is_cloud else 2.0
        return timedelta(seconds=default if self.list_lag_seconds is None else self.list_lag_seconds)
