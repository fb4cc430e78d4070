"""Settings as a part starts with them: everything that is missing, unknown, contradictory or unsafe, named at once.

`StudioSettings` says what there is; here is what it takes to start with it. Tests that build their own settings do
not pass here.
"""

import difflib
import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr, ValidationError

from portraitist.studio.config import StudioSettings
from portraitist.studio.errors import StudioError

OUR_PREFIXES = ("PORTRAITIST_", "REPLICATE_")
BESIDE = ("PORTRAITIST_STATE", "PORTRAITIST_ASSETS")
"""Variables with our prefix that are no settings of web and worker (docs/settings.md)."""
SHORTEST_SECRET = 32
FROM_FILE = "_FILE"


class SettingsInvalid(StudioError):
    """The environment can't be started with; `problems` has one sentence for each variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            "configuration",
            "The configuration can't be started with: " + " ".join(problems),
            next_step="docs/settings.md has every variable; `portraitist up` fills in what is not set.",
        )
        self.problems = problems


def load(environ: Mapping[str, str], home: Path) -> StudioSettings:
    """The settings in this environment. Raises SettingsInvalid, which names every variable that is wrong."""
    problems, given = [*_unknown(environ)], dict[str, str]()
    for name in sorted(
        secrets() & {key.removesuffix(FROM_FILE) for key in environ if key.endswith(FROM_FILE)}
    ):
        problem = _read_file(name, environ, given)
        problems += [problem] if problem else []
    try:
        settings = StudioSettings(portraitist_home=home, **given)  # type: ignore[arg-type]  # by name
    except ValidationError as error:
        raise SettingsInvalid([*(_said(each, environ) for each in error.errors()), *problems]) from error
    problems += [*_contradictions(settings), *_unsafe(settings)]
    if problems:
        raise SettingsInvalid(problems)
    return settings


def names() -> frozenset[str]:
    """Every variable that web and worker read, the files of secrets included."""
    plain = {name.upper() for name in StudioSettings.model_fields}
    return frozenset(plain | {name + FROM_FILE for name in secrets()} | set(BESIDE))


def secrets() -> frozenset[str]:
    """Variables with a secret, each of which may be in a file that NAME_FILE names."""
    return frozenset(
        name.upper()
        for name, field in StudioSettings.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    )


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    """Variables that look like ours and are not."""
    for name in sorted(environ):
        if name.startswith(OUR_PREFIXES) and name not in names():
            near = difflib.get_close_matches(name, names(), n=1, cutoff=0.7)
            yield f"{name} is unknown" + (f"; did you mean {near[0]}?" if near else ".")


def _read_file(name: str, environ: Mapping[str, str], given: dict[str, str]) -> str | None:
    """Take the secret from the file that NAME_FILE names; what is wrong with it, if anything."""
    if environ.get(name):
        return f"{name} and {name}{FROM_FILE} are both set; keep one."
    try:
        given[name.lower()] = Path(environ[name + FROM_FILE]).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        return f"{name}{FROM_FILE} can't be read ({type(error).__name__})."
    return None


def _said(error: Any, environ: Mapping[str, str]) -> str:
    """One wrong or missing variable in a sentence, without its value."""
    name = "_".join(map(str, error["loc"])).upper()
    if error["type"] != "missing":
        return f"{name}: {error['msg'].lower()}."
    near = difflib.get_close_matches(name, set(environ) - names(), n=1, cutoff=0.85)
    return f"{name} is missing" + (f" ({near[0]} is set; is that meant?)." if near else ".")


def _contradictions(settings: StudioSettings) -> Iterator[str]:
    public, hooks = settings.public_url, settings.webhooks_url
    if public and (urlsplit(public).scheme not in ("https", "http") or not urlsplit(public).hostname):
        yield "PUBLIC_URL must be an address that begins with https://."
    if hooks and hooks != "off" and urlsplit(hooks).scheme not in ("https", "http"):
        yield "WEBHOOKS_URL must be an address or off."
    if hooks.startswith("http://") and settings.is_cloud:
        yield "WEBHOOKS_URL must begin with https://: Replicate's cloud calls no other."
    if settings.session_idle_hours > settings.session_hours:
        yield "SESSION_IDLE_HOURS is more than SESSION_HOURS."
    if settings.stalled_after_seconds <= settings.heartbeat_seconds:
        yield "STALLED_AFTER_SECONDS must be more than HEARTBEAT_SECONDS."
    if bool(settings.kept_engine_url) != bool(settings.kept_engine_token.get_secret_value()):
        yield "KEPT_ENGINE_URL and KEPT_ENGINE_TOKEN belong together."
    if bool(settings.provenance_certificates_file) != bool(settings.provenance_key.get_secret_value()):
        yield "PROVENANCE_CERTIFICATES_FILE and PROVENANCE_KEY belong together."
    yield from _mail(settings)
    yield from _sign_in_provider(settings)
    faces = settings.face_detector_url
    if faces and (urlsplit(faces).scheme not in ("https", "http") or not urlsplit(faces).hostname):
        yield "FACE_DETECTOR_URL must be an address."
    if settings.portraitist_failpoints and not settings.portraitist_testing:
        yield "PORTRAITIST_FAILPOINTS kills the worker on purpose, and PORTRAITIST_TESTING is not set."


def _mail(settings: StudioSettings) -> Iterator[str]:
    url, sender = settings.smtp_url.get_secret_value(), settings.mail_from
    if bool(url) != bool(sender):
        yield "SMTP_URL and MAIL_FROM belong together."
    if url and (urlsplit(url).scheme not in ("smtp", "smtps") or not urlsplit(url).hostname):
        yield "SMTP_URL must be an address that begins with smtp:// or smtps://."
    if sender and ("@" not in sender or not sender.isprintable()):
        yield "MAIL_FROM must be an e-mail address."


def _sign_in_provider(settings: StudioSettings) -> Iterator[str]:
    issuer = urlsplit(settings.oidc_issuer)
    given = (settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret.get_secret_value())
    if any(given) and not all(given):
        yield "OIDC_ISSUER needs OIDC_CLIENT_ID and OIDC_CLIENT_SECRET beside it."
    if (
        settings.oidc_issuer
        and issuer.scheme != "https"
        and not (issuer.scheme == "http" and _on_this_machine(issuer))
    ):
        yield "OIDC_ISSUER must begin with https://."


def _unsafe(settings: StudioSettings) -> Iterator[str]:
    public = urlsplit(settings.public_url)
    if not settings.allow_http_lan:
        if public.scheme == "http" and not _on_this_machine(public):
            yield "PUBLIC_URL is http: passwords would travel in the clear. Use https, or set ALLOW_HTTP_LAN=1."
        if not settings.https and not _is_loopback(settings.studio_host):
            yield (
                "STUDIO_HOST lets others than this machine in without https. Set PUBLIC_URL to the https "
                "address of a proxy in front, or ALLOW_HTTP_LAN=1."
            )
        provider = urlsplit(settings.replicate_base_url)
        if provider.scheme != "https" and not _on_this_machine(provider):
            yield "REPLICATE_BASE_URL is http: its token would travel in the clear. Use https, or set ALLOW_HTTP_LAN=1."
        faces = urlsplit(settings.face_detector_url)
        if faces.scheme == "http" and not _on_this_machine(faces):
            yield "FACE_DETECTOR_URL is http: photos would travel in the clear. Use https, or set ALLOW_HTTP_LAN=1."
    if settings.portraitist_testing:
        if settings.https:
            yield "PORTRAITIST_TESTING is for tests, not for a studio with a PUBLIC_URL."
        return
    yield from _weak_secrets(settings)


def _weak_secrets(settings: StudioSettings) -> Iterator[str]:
    instance = settings.instance_token.get_secret_value()
    key = settings.secret_key.get_secret_value()
    for name, secret in (("INSTANCE_TOKEN", instance), ("SECRET_KEY", key)):
        if len(secret) < SHORTEST_SECRET or len(set(secret)) < SHORTEST_SECRET // 4:
            yield f"{name} can be guessed: make it {SHORTEST_SECRET} random characters or more."
    if instance == key:
        yield "INSTANCE_TOKEN and SECRET_KEY are the same."


def _on_this_machine(url: SplitResult) -> bool:
    return _is_loopback(url.hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
