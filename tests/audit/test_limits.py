"""What is said of paid work that anybody may have, where code itself counts the calls."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portraitist.audit.pipeline import Audit

Auditor = Callable[[dict[str, str]], Audit]

LIMITS = """
from flask import request

def who():
    return request.headers.get("X-Forwarded-For", "")

def from_socket():
    return request.remote_addr

def allows(address):
    return len(address) < 3
"""
APP = """
import replicate
from flask import Flask, jsonify, request
from limits import allows, from_socket, who

app = Flask(__name__)

@app.route("/preview", methods=["POST"])
def preview():
    address = KEY()
    if ASKED:
        if not allows(address):
            return jsonify({"error": "too many"}), 429
    return jsonify(replicate.run("a/b", input=request.get_json()))
"""
PLAIN = "    if ASKED:\n        if not allows(address):\n            return"


@pytest.mark.parametrize(
    ("key", "said"),
    [("who", " but a limit of calls by X-Forwarded-For"), ("from_socket", " but a limit of calls")],
)
def test_a_limit_before_paid_work_is_said(key: str, said: str, audit_files: Auditor) -> None:
    app = APP.replace(PLAIN, "    if not allows(address):\n        return").replace("KEY", key)
    assert _told(audit_files({"limits.py": LIMITS, "app.py": app})).endswith(said)


def test_a_limit_that_the_request_can_switch_off_is_none(audit_files: Auditor) -> None:
    app = APP.replace("ASKED", 'not request.get_json().get("gift")').replace("KEY", "who")
    told = _told(audit_files({"limits.py": LIMITS, "app.py": app}))
    assert told.endswith("without a check that denies")


def _told(audit: Audit) -> str:
    return next(each.message for each in audit.findings if each.rule == "missing-auth")
