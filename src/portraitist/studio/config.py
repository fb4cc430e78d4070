"""Settings of web and worker, read from the environment (or files it names).

Addresses, secrets and timings. What is locked (parameters of training and generation) is not here but in
`architecture.py`. What it takes to start with them is `startup.py`; docs/settings.md is made of this class.
"""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

CLOUD_URL = "https://api.replicate.com"
# What the database calls the accounts of the environment, unless REPLICATE_ACCOUNT says otherwise.
CLOUD_ACCOUNT, ENGINE_ACCOUNT = "cloud", "engine"


class StudioSettings(BaseSettings):
    """One instance of the studio, as configured at start. Names are the environment's, in upper case."""

    model_config = SettingsConfigDict(env_prefix="", env_ignore_empty=True, extra="ignore", frozen=True)

    portraitist_home: Path = Field(description="The one data directory.")
    database_url: SecretStr = Field(description="PostgreSQL as the role app.")
    storage_url: str = Field(
        default="", description="file://, s3://, gs:// or az://; empty: a folder of the home."
    )
    replicate_base_url: str = Field(default=CLOUD_URL, description="Provider's address, with or without /v1.")
    replicate_api_token: SecretStr = Field(description="The provider account's token.")
    replicate_username: str = Field(min_length=1, description="Owner of the destination models; no default.")
    replicate_account: str = Field(
        default="", description="What the database calls this account; empty: cloud, or engine for any other."
    )
    kept_engine_url: str = Field(
        default="",
        description="The embedded engine, kept for versions that live there; it trains nothing new.",
    )
    kept_engine_token: SecretStr = Field(default=SecretStr(""), description="The token of that engine.")
    kept_engine_username: str = Field(default="", description="The account of that engine.")
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
    allow_http_lan: bool = Field(
        default=False, description="Serve others than this machine without https, at your own risk."
    )
    sign_up: Literal["closed", "invitation", "open"] | None = Field(
        default=None, description="Who may make an account; set here, an admin can't change it."
    )
    session_idle_hours: float = Field(default=168, gt=0, description="A session ends when unused so long.")
    session_hours: float = Field(default=720, gt=0, description="A session ends so long after signing in.")
    smtp_url: SecretStr = Field(
        default=SecretStr(""),
        description="Mail server, smtp://user:password@host:587 (STARTTLS) or smtps://…:465; empty: no mail.",
    )
    mail_from: str = Field(default="", description="The address that mail comes from.")
    oidc_issuer: str = Field(
        default="", description="OpenID Connect provider to sign in with, https; empty: none."
    )
    oidc_client_id: str = Field(default="", description="What the studio is called at that provider.")
    oidc_client_secret: SecretStr = Field(default=SecretStr(""), description="Its secret there.")
    oidc_name: str = Field(default="Single sign-on", description="What members know that provider as.")
    fresh_minutes: float = Field(
        default=10,
        gt=0,
        description="How long after signing in, or proving it anew, credentials change and everything is exported.",
    )
    studio_host: str = Field(default="127.0.0.1", description="Where web listens.")
    studio_port: int = Field(default=8700, ge=0, le=65535, description="The port where web listens.")
    worker_concurrency: int = Field(
        default=10, ge=1, le=200, description="Jobs that one worker does at once."
    )
    sweep_seconds: float = Field(
        default=1.0, gt=0, description="How often a worker looks for work that is due."
    )
    heartbeat_seconds: float = Field(
        default=2.0, gt=0, description="How often a worker gives a sign of life."
    )
    stalled_after_seconds: float = Field(
        default=8.0, gt=0, description="When a silent worker counts as gone."
    )
    lease_seconds: float = Field(
        default=10.0, gt=0, description="How long a row is left to its job before another one gets it."
    )
    start_answer_seconds: float = Field(
        default=30.0, gt=0, description="How long a start at the provider may stay unanswered."
    )
    poll_seconds: float | None = Field(default=None, gt=0, description="Time between looks at a running job.")
    list_lag_seconds: float | None = Field(
        default=None, ge=0, description="How late the provider's lists may be."
    )
    retry_seconds: float = Field(
        default=30.0, gt=0, description="How long a call is left alone that the provider could not answer."
    )

    looks_listed_from: int = Field(
        default=5, ge=1, description="Due looks at one account from which its list is read instead."
    )
    keep_photos_days: float = Field(
        default=30, ge=3, description="Photos are deleted so long after the last training that used them."
    )
    keep_logs_days: float = Field(
        default=30, gt=0, description="What a training's log said is removed so long after its end."
    )
    price_currency: str = Field(
        default="USD", max_length=8, description="The currency of the prices that admins see."
    )
    price_per_training_second: float | None = Field(
        default=None, ge=0, description="What a second of training costs at the provider; empty: not shown."
    )
    price_per_picture_second: float | None = Field(
        default=None, ge=0, description="What a second of drawing costs at the provider; empty: not shown."
    )
    price_per_picture: float | None = Field(
        default=None, ge=0, description="What a picture costs at the provider; empty: not shown."
    )
    provenance_certificates_file: Path | None = Field(
        default=None,
        description="PEM chain, leaf first, of a certificate to sign pictures with; empty: one made here.",
    )
    provenance_key: SecretStr = Field(default=SecretStr(""), description="That certificate's key, as PEM.")
    face_detector_url: str = Field(
        default="", description="A service of yours that counts the faces in photos; empty: nobody does."
    )
    people_file: Path | None = Field(
        default=None, description="Names, one a line, of people whom no prompt may name; empty: nobody."
    )
    maya_model: str = Field(
        default="",
        description="Maya's language model as provider:name, such as openai-chat:… or anthropic:…; empty: none.",
    )
    maya_api_key: SecretStr = Field(default=SecretStr(""), description="The key of that model's provider.")
    maya_url: str = Field(
        default="",
        description="Where that model is asked: a local server's address; empty: the provider's own.",
    )
    maya_output: Literal["tool", "native", "prompted"] = Field(
        default="tool", description="How that model gives structured answers; prompted: any model, by words."
    )
    maya_seconds: float = Field(
        default=60, gt=0, le=150, description="The longest that Maya may take to answer."
    )
    maya_answer_tokens: int = Field(
        default=4000, ge=500, description="The most tokens of one answer of that model."
    )
    maya_tokens_per_member_per_day: int = Field(
        default=200_000, ge=1, description="Tokens that Maya's answers may take for one member in 24 hours."
    )
    maya_cost_per_member_per_day: float | None = Field(
        default=None, gt=0, description="What they may cost, in PRICE_CURRENCY; empty: any amount."
    )
    price_per_million_tokens_in: float = Field(
        default=0, ge=0, description="What a million tokens to that model cost."
    )
    price_per_million_tokens_out: float = Field(
        default=0, ge=0, description="What a million tokens from that model cost."
    )
    looks_dir: Path | None = Field(
        default=None, description="A folder of collections for the photoshoot, beside ours and over them."
    )
    picture_label: str = Field(
        default="",
        description="Words in a corner of every picture, 24 letters without accents at most; empty: none.",
    )
    keep_previews_days: float | None = Field(
        default=None,
        ge=3,
        description="Pictures that were never saved are deleted so long after; empty: never.",
    )
    keep_weights: bool = Field(default=True, description="Copy trained weights into our own storage.")
    portraitist_failpoints: str = Field(
        default="", description="Where a test kills the worker or the web process (kit/failpoints)."
    )
    portraitist_testing: bool = Field(default=False, description="Whether this is a test, which may kill.")

    trainings_in_flight: int | None = Field(default=None, ge=1, description="At one account at once.")
    generations_in_flight: int | None = Field(default=None, ge=1, description="At one account at once.")
    trainings_per_member_per_day: int | None = Field(default=None, ge=1, description="Starts in 24 hours.")
    trainings_per_day: int | None = Field(default=None, ge=1, description="Starts per account in 24 hours.")
    generations_per_member_per_day: int | None = Field(
        default=None, ge=1, description="Asked for in 24 hours."
    )
    member_reads_per_minute: float = Field(
        default=6000, gt=0, description="API reads of one member; a gallery that is scrolled is many."
    )
    member_writes_per_minute: float = Field(default=240, gt=0, description="API writes of one member.")
    provider_creates_per_minute: float | None = Field(
        default=None, gt=0, description="Starts at one provider account, by all processes together."
    )
    provider_others_per_minute: float | None = Field(
        default=None, gt=0, description="Other requests to one provider account, by all together."
    )
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
    def https(self) -> bool:
        """Whether the outside reaches the studio by https."""
        return self.public_url.startswith("https://")

    @property
    def sends_mail(self) -> bool:
        """Whether members get mail."""
        return bool(self.smtp_url.get_secret_value())

    @property
    def address(self) -> str:
        """Where people reach the studio, without a slash at the end."""
        return self.public_url.rstrip("/") or f"http://localhost:{self.studio_port}"

    @property
    def account_id(self) -> str:
        """The provider account that new trainings go to."""
        return self.replicate_account or (CLOUD_ACCOUNT if self.is_cloud else ENGINE_ACCOUNT)

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
    def generations_per_member(self) -> int | None:
        """Generations that one member may ask for in 24 hours; None: any number."""
        return self.generations_per_member_per_day or (100 if self.is_cloud else None)

    @property
    def objects_url(self) -> str:
        """Where photos and pictures are kept."""
        return self.storage_url or f"file://{self.portraitist_home / 'objects'}"

    @property
    def poll_every(self) -> timedelta:
        """Time between looks at a running job: our own engine is near, the cloud counts requests."""
        return timedelta(seconds=self.poll_seconds or (5.0 if self.is_cloud else 1.0))

    @property
    def photos_kept_for(self) -> timedelta:
        """How long photos stay after the last training that used them."""
        return timedelta(days=self.keep_photos_days)

    @property
    def previews_kept_for(self) -> timedelta | None:
        """How long pictures stay that were never saved; None: until their member deletes them."""
        return None if self.keep_previews_days is None else timedelta(days=self.keep_previews_days)

    @property
    def logs_kept_for(self) -> timedelta:
        """How long what a training's log said stays."""
        return timedelta(days=self.keep_logs_days)

    @property
    def list_lag(self) -> timedelta:
        """How long a started job may be missing from the provider's lists."""
        default = 60.0 if self.is_cloud else 2.0
        return timedelta(seconds=default if self.list_lag_seconds is None else self.list_lag_seconds)
