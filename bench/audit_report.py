"""Writes docs/audit-report.md: the auditor's report on this repository itself.

`python bench/audit_report.py` after the code has changed. It audits the files that git knows and nothing else, the
report excepted, so that two checkouts write the same; a test says when the page no longer tells the truth.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from portraitist.audit import pipeline, vocabulary
from portraitist.audit.report import markdown
from portraitist.audit.report.claims import Citations

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "audit-report.md"
HEAD = """# The auditor's report on this repository

Written by `python bench/audit_report.py`, which audits the files that git knows. The report says what the code does
when asked as any other repository is; the test `tests/audit/test_own_house.py` holds its facts against the code.

"""


def tracked(root: Path, target: Path) -> Path:
    """A copy of the files that git knows, as they are now, without the report; raises CalledProcessError."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = root / name
        if source.is_file() and not source.is_symlink() and source != PAGE:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)
    return target


def main() -> int:
    """Writes the page."""
    with tempfile.TemporaryDirectory() as folder:
        result = pipeline.audit(tracked(ROOT, Path(folder)), vocabulary.load())
    report = markdown.report(result.context, result.findings, Citations(result.context.tree))
    PAGE.write_text(HEAD + report, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
