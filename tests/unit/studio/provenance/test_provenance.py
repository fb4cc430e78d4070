"""Where a picture says it comes from: marked, signed, told apart, and nothing of anybody in it."""

import io
import json
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from portraitist.studio import bootstrap, pictures
from portraitist.studio.config import StudioSettings
from portraitist.studio.pictures import Picture
from portraitist.studio.provenance import credentials, label, png, signing
from portraitist.studio.provenance.credentials import Credentials, CredentialsInvalid
from portraitist.studio.provenance.signing import SigningFailed, SigningStamp
from portraitist.studio.provenance.verifying import Kind, verify
from portraitist.studio.startup import SettingsInvalid

SECRET_WORDS = "userk3v9x2m7q1ab woman in a garden"


def drawn(size: tuple[int, int] = (192, 256), kind: str = "PNG", **save: Any) -> Picture:
    """A picture as a provider might send it."""
    out = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert("RGB").save(out, kind, **save)
    return pictures.read(out.getvalue())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def stamp(home: Path) -> SigningStamp:
    return SigningStamp.ready(home, credentials.kept_or_made(home))


def kind_of(data: bytes, home: Path) -> Kind:
    return verify(data, credentials.known(home)).kind


def manifest(data: bytes) -> Any:
    with (
        c2pa.Context(c2pa.Settings.from_dict(signing.SETTINGS)) as context,
        c2pa.Reader("image/png", io.BytesIO(data), context=context) as reader,
    ):
        return json.loads(reader.detailed_json())


@pytest.mark.parametrize("size", [(192, 256), (896, 1152), (101, 67)])
def test_a_stamped_picture_is_ours_and_looks_the_same(
    stamp: SigningStamp, home: Path, size: tuple[int, int]
) -> None:
    before = drawn(size)
    after = stamp.stamped(before)
    assert kind_of(after.data, home) is Kind.OURS
    assert pictures.read(after.data).sha256 == after.sha256
    with Image.open(io.BytesIO(before.data)) as one, Image.open(io.BytesIO(after.data)) as other:
        assert one.tobytes() == other.tobytes()


def test_it_says_that_a_trained_model_made_it_in_xmp_and_in_the_manifest(stamp: SigningStamp) -> None:
    data = stamp.stamped(drawn()).data
    with Image.open(io.BytesIO(data)) as picture:
        [description] = picture.getxmp()["xmpmeta"]["RDF"].values()
    assert description["DigitalSourceType"] == png.GENERATED
    [found] = manifest(data)["manifests"].values()
    [action] = found["assertion_store"]["c2pa.actions.v2"]["actions"]
    assert action == {"action": "c2pa.created", "digitalSourceType": png.GENERATED}


def test_there_is_no_thumbnail_no_time_stamp_and_no_word_besides(stamp: SigningStamp) -> None:
    before = drawn((896, 1152))
    data = stamp.stamped(before).data
    assert len(data) - len(before.data) < 5_000
    [found] = manifest(data)["manifests"].values()
    assert set(found["assertion_store"]) == {"c2pa.hash.data", "c2pa.actions.v2"}
    assert set(found["claim"]["claim_generator_info"]) == {"name", "org.contentauth.c2pa_rs"}
    assert "timeStamp" not in json.dumps(found)


def test_a_small_copy_is_marked_and_signed_like_the_picture_and_says_nothing_besides(
    stamp: SigningStamp, home: Path
) -> None:
    before = stamp.stamped(drawn((896, 1152)))
    copy = stamp.small(before.data)
    assert kind_of(copy, home) is Kind.OURS
    assert kind_of(copy[:-40] + bytes(40), home) is not Kind.OURS
    assert len(copy) < len(before.data) / 4
    with Image.open(io.BytesIO(copy)) as picture:
        assert (picture.format, max(picture.size)) == ("WEBP", 512)
        assert set(picture.info) <= {"xmp", "loop", "background", "timestamp", "duration"}
        [description] = picture.getxmp()["xmpmeta"]["RDF"].values()
        assert description["DigitalSourceType"] == png.GENERATED
        assert not picture.getexif()
    assert pictures.read(copy).tint == pytest.approx(before.tint or 0, abs=0x030303)


def test_what_the_provider_wrote_into_its_file_is_gone(stamp: SigningStamp) -> None:
    words = PngInfo()
    words.add_text("parameters", SECRET_WORDS)
    words.add_itxt("prompt", SECRET_WORDS, zip=True)
    exif = Image.Exif()
    exif[0x010E] = SECRET_WORDS
    sent = drawn(pnginfo=words, exif=exif)
    assert SECRET_WORDS.encode() in sent.data
    with Image.open(io.BytesIO(stamp.stamped(sent).data)) as picture:
        assert set(picture.info) <= {"xmp", "XML:com.adobe.xmp"}
        assert not picture.getexif()
    assert SECRET_WORDS.encode() not in stamp.stamped(sent).data


def test_jpeg_and_webp_of_a_provider_become_signed_pngs(stamp: SigningStamp, home: Path) -> None:
    for kind in ("JPEG", "WEBP"):
        data = stamp.stamped(drawn(kind=kind)).data
        assert png.is_png(data)
        assert kind_of(data, home) is Kind.OURS


def test_any_changed_byte_is_found(stamp: SigningStamp, home: Path) -> None:
    data = stamp.stamped(drawn((48, 64))).data
    known = credentials.known(home)
    rng = random.Random(6)
    for place in rng.sample(range(len(data)), 400):
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        assert verify(bytes(changed), known).kind is not Kind.OURS, f"byte {place}"


def test_a_change_of_the_picture_is_told_as_ours_but_altered(stamp: SigningStamp, home: Path) -> None:
    data = stamp.stamped(drawn()).data
    assert kind_of(data[:-200] + bytes([data[-200] ^ 1]) + data[-199:], home) is Kind.ALTERED
    assert kind_of(data + b"more", home) is Kind.ALTERED


def test_planted_bug_without_the_check_sums_a_flip_in_the_filler_would_pass(
    stamp: SigningStamp, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stamp.stamped(drawn((48, 64))).data
    begin, found = data.index(b"caBX"), []
    monkeypatch.setattr(png, "is_whole", lambda data: True)
    known = credentials.known(home)
    for place in range(begin + 4, begin + 3_500, 25):
        changed = bytearray(data)
        changed[place] ^= 1
        found.append(verify(bytes(changed), known).kind)
    assert Kind.OURS in found


def test_saved_anew_it_has_no_manifest_and_nothing_can_be_said(stamp: SigningStamp, home: Path) -> None:
    data = stamp.stamped(drawn()).data
    for kind in ("PNG", "JPEG", "WEBP"):
        out = io.BytesIO()
        with Image.open(io.BytesIO(data)) as picture:
            picture.save(out, kind)
        assert kind_of(out.getvalue(), home) is Kind.NONE


def test_another_instance_is_told_apart_and_so_is_one_that_calls_itself_the_same(
    stamp: SigningStamp, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stamp.stamped(drawn()).data
    assert kind_of(data, tmp_path) is Kind.FOREIGN
    [mine] = {verify(data, credentials.known(home)).signer}
    monkeypatch.setattr(credentials.secrets, "token_hex", lambda size: str(mine).rpartition(" ")[2])
    forger = SigningStamp.ready(tmp_path, credentials.kept_or_made(tmp_path))
    forged = forger.stamped(drawn()).data
    assert verify(forged, credentials.known(home)).signer == mine
    assert kind_of(forged, home) is Kind.FOREIGN


def test_our_manifest_put_into_another_picture_does_not_make_it_whole(
    stamp: SigningStamp, home: Path
) -> None:
    data, other = stamp.stamped(drawn()).data, drawn((48, 64)).data
    begin = data.index(b"caBX") - 4
    chunk = data[begin : begin + 12 + int.from_bytes(data[begin : begin + 4])]
    assert kind_of(other[:33] + chunk + other[33:], home) is Kind.ALTERED


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff" + b"x" * 100, b"RIFF"])
def test_what_is_no_picture_is_unreadable(data: bytes, home: Path) -> None:
    assert kind_of(data, home) is Kind.UNREADABLE


def test_half_a_picture_is_unreadable(stamp: SigningStamp, home: Path) -> None:
    data = stamp.stamped(drawn()).data
    assert kind_of(data[: len(data) // 3], home) is Kind.UNREADABLE


def test_the_key_is_made_once_for_the_owners_eyes_and_no_one_elses(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: credentials.kept_or_made(tmp_path), range(8)))
    assert len({each.key for each in made}) == 1
    folder = tmp_path / credentials.FOLDER
    assert (folder / credentials.SIGNING).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [credentials.SIGNING]
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700


def test_after_a_change_of_the_key_older_pictures_stay_ours(tmp_path: Path) -> None:
    first = SigningStamp.ready(tmp_path, credentials.kept_or_made(tmp_path))
    (tmp_path / credentials.FOLDER / credentials.SIGNING).rename(tmp_path / "put aside")
    second = SigningStamp.ready(tmp_path, credentials.kept_or_made(tmp_path))
    assert first.credentials.key != second.credentials.key
    for each in (first, second):
        assert kind_of(each.stamped(drawn()).data, tmp_path) is Kind.OURS


def settings(home: Path, **more: Any) -> StudioSettings:
    return StudioSettings(
        portraitist_home=home,
        database_url="postgresql://nowhere",
        replicate_api_token="t",
        replicate_username="studio",
        instance_token="i",
        secret_key="s",
        **more,
    )


def test_an_operators_own_certificate_signs(tmp_path: Path) -> None:
    given = credentials.kept_or_made(tmp_path / "theirs")
    chain = tmp_path / "chain.pem"
    chain.write_text(given.chain)
    own = settings(tmp_path / "home", provenance_certificates_file=chain, provenance_key=given.key)
    signed = bootstrap.picture_stamp(own).stamped(drawn()).data
    assert kind_of(signed, tmp_path / "home") is Kind.OURS
    assert kind_of(signed, tmp_path) is Kind.FOREIGN


def test_another_certificate_of_the_same_issuer_is_not_ours(stamp: SigningStamp, home: Path) -> None:
    known = credentials.known(home)
    of_others = credentials.Known(known.issuers, frozenset({12345}))
    assert verify(stamp.stamped(drawn()).data, of_others).kind is Kind.FOREIGN


def test_a_certificate_that_can_not_sign_stops_the_start_and_is_not_shown(tmp_path: Path) -> None:
    one, other = credentials.kept_or_made(tmp_path / "1"), credentials.kept_or_made(tmp_path / "2")
    chain = tmp_path / "chain.pem"
    leaf = one.chain[: one.chain.index("-----END CERTIFICATE-----") + 26]
    for text, key in ((one.chain, other.key), (leaf, one.key), ("no chain", one.key), (one.chain, "no key")):
        chain.write_text(text)
        wrong = settings(tmp_path / "home", provenance_certificates_file=chain, provenance_key=key)
        with pytest.raises(SettingsInvalid, match="PROVENANCE_KEY") as refused:
            bootstrap.picture_stamp(wrong)
        assert "PRIVATE KEY" not in str(refused.value)
    assert not (tmp_path / "home" / credentials.FOLDER / credentials.SIGNING).exists()


def test_a_key_that_stopped_signing_is_a_fault_of_its_own(stamp: SigningStamp) -> None:
    broken = SigningStamp(Credentials(stamp.credentials.chain.replace("M", "N", 40), stamp.credentials.key))
    with pytest.raises(SigningFailed):
        broken.stamped(drawn())
    with pytest.raises(CredentialsInvalid):
        SigningStamp(Credentials("", "nothing")).stamped(drawn())


def test_a_certificate_that_ends_while_the_studio_runs_signs_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for life_s in (3, 30):  # a busy machine may take the first for the first picture
        ends, home = datetime.now(UTC) + timedelta(seconds=life_s), tmp_path / str(life_s)
        monkeypatch.setattr(credentials, "NEVER", ends)
        with suppress(SigningFailed, CredentialsInvalid):
            stamp = SigningStamp.ready(home, credentials.kept_or_made(home))
            stamp.stamped(drawn())
            break
    else:
        raise AssertionError("it never signed")
    time.sleep(max(0, (ends - datetime.now(UTC)).total_seconds()) + 1.5)
    with pytest.raises(SigningFailed):
        stamp.stamped(drawn())


def test_many_threads_sign_with_one_key_at_once(stamp: SigningStamp, home: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        signed = list(threads.map(lambda _: stamp.stamped(drawn((64, 64))).data, range(40)))
    assert {kind_of(each, home) for each in signed} == {Kind.OURS}


@pytest.mark.parametrize("size", [(192, 256), (896, 1152)])
def test_the_label_is_drawn_when_wanted_and_signed_over(tmp_path: Path, size: tuple[int, int]) -> None:
    labelled = SigningStamp.ready(tmp_path, credentials.kept_or_made(tmp_path), "Made with AI")
    before = drawn(size)
    data = labelled.stamped(before).data
    assert kind_of(data, tmp_path) is Kind.OURS
    with Image.open(io.BytesIO(data)) as picture, Image.open(io.BytesIO(before.data)) as plain:
        corner = (size[0] // 3, size[1] - size[1] // 6, size[0], size[1])
        rest = (0, 0, size[0], size[1] - size[1] // 6)
        darkest, lightest = picture.crop(corner).convert("L").getextrema()
        assert darkest < 90  # the plate, on which the letters stand
        assert lightest > 240
        assert picture.crop(corner).tobytes() != plain.crop(corner).tobytes()
        assert picture.crop(rest).tobytes() == plain.crop(rest).tobytes()


def test_a_label_that_can_not_be_drawn_stops_the_start(tmp_path: Path) -> None:
    assert label.drawable("Mit KI gemacht")
    for words in ("x" * 25, "生成", "künstlich", "a\nb"):  # the font of the label has no accents
        with pytest.raises(SettingsInvalid, match="PICTURE_LABEL"):
            bootstrap.picture_stamp(settings(tmp_path, picture_label=words))


QUIET: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 120}
SELF_TEST = """
import io, sys
from pathlib import Path
from PIL import Image
from portraitist.studio import pictures
from portraitist.studio.provenance import credentials, verifying
from portraitist.studio.provenance.signing import SigningStamp
out = io.BytesIO()
Image.new("RGB", (64, 64), "red").save(out, "PNG")
home = Path(sys.argv[1])
stamp = SigningStamp.ready(home, credentials.kept_or_made(home))
print(verifying.verify(stamp.stamped(pictures.read(out.getvalue())).data, credentials.known(home)).kind.value)
"""


def test_signing_and_verifying_ask_nobody_outside(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("NOT RUN: needs strace (apt-get install strace)")
    log = tmp_path / "calls"
    command = ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(log), sys.executable, "-c", SELF_TEST]
    done = subprocess.run([*command, str(tmp_path / "home")], check=False, **QUIET)
    assert done.stdout.strip() == "ours", done.stderr
    assert "AF_INET" not in log.read_text()


def test_signing_and_verifying_work_where_there_is_no_network(tmp_path: Path) -> None:
    empty = ["unshare", "-rn"]
    if shutil.which("unshare") is None or subprocess.run([*empty, "true"], check=False).returncode:
        pytest.skip("NOT RUN: needs unshare and its right (apt-get install util-linux)")
    command = [*empty, sys.executable, "-c", SELF_TEST, str(tmp_path / "home")]
    done = subprocess.run(command, check=False, **QUIET)
    assert done.stdout.strip() == "ours", done.stderr
