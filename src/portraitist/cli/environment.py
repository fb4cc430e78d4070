"""Which parts an instance needs, and the environment each one is started with. Pure: no file, no process.

What the user configured is passed on untouched; only what is missing is filled in with the embedded parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from portraitist.cli.errors import BadUsage
from portraitist.studio.config import CLOUD_URL

ENGINE_USERNAME = "portraitist"
STUDIO_DATABASE = "portraitist"
ENGINE_DATABASE = "portraitist_engine"
OWN_ACCOUNT = "own"  # what the database calls an engine of the user's own; `engine` is the embedded one
OWNER_ROLE = "owner"
APP_ROLE = "app"
ENGINE_ROLE = "portraitist_engine"


@dataclass(frozen=True)
class Choices:
    """What the environment decides about the parts."""

    database_url: str | None
    owner_url: str | None
    engine_database_url: str | None
    embedded_engine: bool
    engine_was_here: bool

    @property
    def embedded_postgres(self) -> bool:
        """Whether some part lives on the embedded PostgreSQL."""
        engine = self.embedded_engine or self.engine_was_here
        return self.database_url is None or (engine and self.engine_database_url is None)


@dataclass(frozen=True)
class Databases:
    """Where the parts find their tables; `owner` is None where the user gave no right to migrate."""

    app: str
    owner: str | None
    engine: str | None


@dataclass(frozen=True)
class Secrets:
    """Random secrets of this home."""

    instance_token: str
    secret_key: str
    engine_token: str


@dataclass(frozen=True)
class Ports:
    """TCP ports on 127.0.0.1."""

    web: int
    engine: int


def choices(environ: Mapping[str, str], *, engine_was_here: bool = False) -> Choices:
    """Read the user's configuration; raises BadUsage for one that can't work.

    `engine_was_here`: the embedded engine has run in this home, so models of members may live on it.
    """
    token, base = environ.get("REPLICATE_API_TOKEN"), environ.get("REPLICATE_BASE_URL")
    if (token or base) and not environ.get("REPLICATE_USERNAME"):
        raise BadUsage(
            "A provider is configured, but not whose account it is.",
            next_step="Set REPLICATE_USERNAME to the account that shall own the models.",
        )
    if base and not token:
        raise BadUsage(
            "REPLICATE_BASE_URL is set without REPLICATE_API_TOKEN.", next_step="Set its token too."
        )
    if environ.get("DATABASE_OWNER_URL") and not environ.get("DATABASE_URL"):
        raise BadUsage(
            "DATABASE_OWNER_URL is set without DATABASE_URL.",
            next_step="Set DATABASE_URL to the same database with the role app and a password of your choice.",
        )
    return Choices(
        database_url=environ.get("DATABASE_URL") or None,
        owner_url=environ.get("DATABASE_OWNER_URL") or None,
        engine_database_url=environ.get("ENGINE_DATABASE_URL") or None,
        embedded_engine=not (token or base),
        engine_was_here=engine_was_here,
    )


def password_of(url: str) -> str | None:
    """The password in a database URL."""
    password = urlsplit(url).password
    return unquote(password) if password else None


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":…@", 1) if password else url


def engine_environment(
    environ: Mapping[str, str], home: str, databases: Databases, secrets: Secrets, ports: Ports
) -> dict[str, str]:
    """For `portraitist engine`."""
    ours = {
        "PORTRAITIST_HOME": home,
        "ENGINE_DATABASE_URL": databases.engine or "",
        "ENGINE_TOKEN": secrets.engine_token,
        "ENGINE_USERNAME": ENGINE_USERNAME,
        "ENGINE_HOST": "127.0.0.1",
        "ENGINE_PORT": str(ports.engine),
    }
    where = {"ENGINE_WORK_DIR": f"{home}/engine/work", "ENGINE_STORAGE_URL": f"file://{home}/engine/objects"}
    return {**where, **environ, **ours}


def studio_environment(
    environ: Mapping[str, str],
    home: str,
    databases: Databases,
    secrets: Secrets,
    ports: Ports,
    *,
    chosen: Choices,
) -> dict[str, str]:
    """For `portraitist web` and `portraitist worker`; the owner's rights stay with `migrate`.

    With a provider configured, an engine that runs all the same is there for the versions that live on it.
    """
    ours = {
        "PORTRAITIST_HOME": home,
        "DATABASE_URL": databases.app,
        "DATABASE_OWNER_URL": "",
        "INSTANCE_TOKEN": secrets.instance_token,
        "SECRET_KEY": secrets.secret_key,
        "STUDIO_HOST": "127.0.0.1",
        "STUDIO_PORT": str(ports.web),
    }
    engine = (f"http://127.0.0.1:{ports.engine}", secrets.engine_token, ENGINE_USERNAME)
    if chosen.embedded_engine:
        names = ("REPLICATE_BASE_URL", "REPLICATE_API_TOKEN", "REPLICATE_USERNAME")
        ours |= dict(zip(names, engine, strict=True))
    elif databases.engine is not None:
        names = ("KEPT_ENGINE_URL", "KEPT_ENGINE_TOKEN", "KEPT_ENGINE_USERNAME")
        ours |= dict(zip(names, engine, strict=True))
    base = environ.get("REPLICATE_BASE_URL", "").rstrip("/").removesuffix("/v1")
    if base not in ("", CLOUD_URL) and not environ.get("REPLICATE_ACCOUNT"):
        ours["REPLICATE_ACCOUNT"] = OWN_ACCOUNT
    return {**environ, **ours}
