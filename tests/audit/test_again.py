"""A process that audits one repository after the other, as the benches do, lets the earlier ones go."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest

from portraitist.audit import pipeline

Auditor = Callable[[dict[str, str]], pipeline.Audit]


def test_an_earlier_audit_is_let_go_where_much_is_kept(
    audit_files: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "KEPT", 0)
    first = weakref.ref(audit_files({"app.py": "import replicate\nreplicate.run('a/b')\n"}).context.program)
    audit_files({"app.py": "import replicate\n"})
    assert first() is None
