"""`portraitist picture verify` as a program: what it says, as text and JSON, and its exit codes."""

import io
import json
from pathlib import Path

from PIL import Image
from tests.unit.cli.test_commands import portraitist

from portraitist.studio import pictures
from portraitist.studio.provenance import credentials
from portraitist.studio.provenance.signing import SigningStamp


def drawn() -> bytes:
    out = io.BytesIO()
    Image.radial_gradient("L").save(out, "PNG")
    return out.getvalue()


def test_each_answer_has_its_words_and_its_exit_code(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "picture.png"
    ours = SigningStamp.ready(home, credentials.kept_or_made(home)).stamped(pictures.read(drawn())).data
    files = {
        0: ("ours", ours),
        4: ("altered", ours + b"!"),
        6: ("none", drawn()),
        8: ("unreadable", b"no picture"),
    }
    for code, (kind, data) in files.items():
        file.write_bytes(data)
        done = portraitist("picture", "verify", str(file), "--json", home=home)
        assert done.returncode == code, done.stderr
        assert json.loads(done.stdout)["kind"] == kind
    file.write_bytes(ours)
    elsewhere = portraitist("picture", "verify", str(file), home=tmp_path / "another")
    assert elsewhere.returncode == 5
    assert "somebody else's signature" in elsewhere.stdout


def test_a_file_that_is_not_there_is_bad_usage(tmp_path: Path) -> None:
    done = portraitist("picture", "verify", str(tmp_path / "nothing.png"), home=tmp_path)
    assert done.returncode == 2
    assert "There is no file" in done.stderr
