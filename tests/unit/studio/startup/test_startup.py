"""A part starts with settings that are whole, known, in agreement and safe; else it names each that is not."""

from pathlib import Path

import pytest

from portraitist.studio import startup
from portraitist.studio.config import StudioSettings
from portraitist.studio.startup import SettingsInvalid

GOOD = {
    "DATABASE_URL": "postgresql://app:pw@db/portraitist",
    "REPLICATE_API_TOKEN": "r8_token",
    "REPLICATE_USERNAME": "studio",
    "INSTANCE_TOKEN": "instance-0123456789-abcdefghijklmnop",
    "SECRET_KEY": "secret-key-0123456789-abcdefghijklmnop",
}


def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **changes: str | None) -> StudioSettings:
    environ = {name: value for name, value in (GOOD | changes).items() if value is not None}
    for name in {*startup.names(), *GOOD, *changes}:
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return startup.load(environ, tmp_path)


def problems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **changes: str | None) -> list[str]:
    with pytest.raises(SettingsInvalid) as caught:
        load(monkeypatch, tmp_path, **changes)
    return caught.value.problems


def test_a_whole_and_safe_environment_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load(monkeypatch, tmp_path, PUBLIC_URL="https://studio.example.org", STUDIO_HOST="0.0.0.0")
    assert (settings.https, settings.replicate_username) == (True, "studio")


def test_every_missing_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = problems(monkeypatch, tmp_path, SECRET_KEY=None, REPLICATE_USERNAME="", DATABASE_URL=None)
    assert [each.split()[0] for each in told] == ["DATABASE_URL", "REPLICATE_USERNAME", "SECRET_KEY"]


def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = problems(monkeypatch, tmp_path, REPLICATE_API_KEY="x", PORTRAITIST_HOEM="/x")
    assert told == [
        "PORTRAITIST_HOEM is unknown; did you mean PORTRAITIST_HOME?",
        "REPLICATE_API_KEY is unknown; did you mean REPLICATE_API_TOKEN?",
    ]
    told = problems(monkeypatch, tmp_path, DATABASE_URL=None, DATABSE_URL="x")
    assert told == ["DATABASE_URL is missing (DATABSE_URL is set; is that meant?)."]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PUBLIC_URL": "http://studio.example.org"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "studio.example.org"}, "PUBLIC_URL"),
        ({"STUDIO_HOST": "0.0.0.0"}, "STUDIO_HOST"),
        ({"REPLICATE_BASE_URL": "http://gpu.example.org:8188"}, "REPLICATE_BASE_URL"),
        ({"WEBHOOKS_URL": "http://studio.example.org"}, "WEBHOOKS_URL"),
        ({"SESSION_IDLE_HOURS": "99", "SESSION_HOURS": "9"}, "SESSION_IDLE_HOURS"),
        ({"HEARTBEAT_SECONDS": "9"}, "STALLED_AFTER_SECONDS"),
        ({"KEPT_ENGINE_URL": "http://127.0.0.1:1"}, "KEPT_ENGINE_URL"),
        ({"PORTRAITIST_FAILPOINTS": "x"}, "PORTRAITIST_FAILPOINTS"),
        ({"PROVENANCE_KEY": "-----BEGIN"}, "PROVENANCE_CERTIFICATES_FILE"),
        ({"PROVENANCE_CERTIFICATES_FILE": "/chain.pem"}, "PROVENANCE_CERTIFICATES_FILE"),
        ({"FACE_DETECTOR_URL": "faces.example.org"}, "FACE_DETECTOR_URL"),
        ({"FACE_DETECTOR_URL": "http://faces.example.org/count"}, "FACE_DETECTOR_URL"),
        ({"SMTP_URL": "smtp://mail.example.org"}, "SMTP_URL"),
        ({"SMTP_URL": "mail.example.org", "MAIL_FROM": "studio@example.org"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://mail.example.org", "MAIL_FROM": "studio"}, "MAIL_FROM"),
        ({"OIDC_ISSUER": "https://id.example.org"}, "OIDC_ISSUER"),
        (
            {"OIDC_ISSUER": "http://id.example.org", "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "y"},
            "OIDC_ISSUER",
        ),
        ({"PORTRAITIST_TESTING": "1", "PUBLIC_URL": "https://x.example.org"}, "PORTRAITIST_TESTING"),
        ({"INSTANCE_TOKEN": "changeme"}, "INSTANCE_TOKEN"),
        ({"SECRET_KEY": "a" * 64}, "SECRET_KEY"),
        ({"SECRET_KEY": GOOD["INSTANCE_TOKEN"]}, "INSTANCE_TOKEN"),
        ({"SIGN_UP": "everybody"}, "SIGN_UP"),
    ],
)
def test_what_is_contradictory_or_unsafe_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, str], named: str
) -> None:
    told = problems(monkeypatch, tmp_path, **changes)
    assert [each.split()[0].rstrip(":") for each in told] == [named]


def test_plain_http_is_for_this_machine_unless_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert load(monkeypatch, tmp_path, PUBLIC_URL="http://localhost:8700").public_url
    allowed = load(
        monkeypatch, tmp_path, ALLOW_HTTP_LAN="1", STUDIO_HOST="0.0.0.0", PUBLIC_URL="http://10.0.0.5:8700"
    )
    assert not allowed.https


def test_a_secret_may_be_in_a_file_but_not_in_two_places(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = tmp_path / "key"
    kept.write_text(GOOD["SECRET_KEY"] + "\n")
    settings = load(monkeypatch, tmp_path, SECRET_KEY=None, SECRET_KEY_FILE=str(kept))
    assert settings.secret_key.get_secret_value() == GOOD["SECRET_KEY"]
    assert problems(monkeypatch, tmp_path, SECRET_KEY_FILE=str(kept)) == [
        "SECRET_KEY and SECRET_KEY_FILE are both set; keep one."
    ]
    kept.unlink()
    told = problems(monkeypatch, tmp_path, SECRET_KEY=None, SECRET_KEY_FILE=str(kept))
    assert "SECRET_KEY_FILE can't be read (FileNotFoundError)." in told


def test_no_complaint_shows_a_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = problems(
        monkeypatch,
        tmp_path,
        INSTANCE_TOKEN="canary",
        SECRET_KEY="canary",
        STUDIO_PORT="canary",
        SIGN_UP="canary",
    )
    assert "canary" not in " ".join(told)
