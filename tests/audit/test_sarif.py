"""SARIF 2.1.0: what the standard requires of every object that the auditor writes, checked on a whole audit.

The checks follow the standard's text (sections in the names of the helpers); no schema file is needed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from portraitist.audit.cli import app

from .conftest import CASES, unpack

_URI = re.compile(r"^(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})+$")


@pytest.fixture
def log(tmp_path: Path) -> dict[str, Any]:
    for case in sorted((CASES / "rules").glob("*.txt")):
        unpack(case, tmp_path / "repository")
    out = tmp_path / "out.sarif"
    assert CliRunner().invoke(app, [str(tmp_path / "repository"), "--sarif", str(out)]).exit_code in {0, 3}
    made: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return made


def wrong_location(location: dict[str, Any]) -> list[str]:
    """3.28 to 3.30: a relative URI reference, and lines that begin at 1 and do not run backwards."""
    physical = location["physicalLocation"]
    uri, region = physical["artifactLocation"]["uri"], physical["region"]
    problems = [] if _URI.match(uri) and not uri.startswith("/") else [f"{uri} is no relative URI"]
    if not 1 <= region["startLine"] <= region["endLine"]:
        problems.append(f"{region} runs backwards")
    return problems


def wrong_result(result: dict[str, Any], rules: list[dict[str, Any]]) -> list[str]:
    """3.27: message, level, rule and its index, locations, code flows, string fingerprints."""
    problems = [each for place in result["locations"] for each in wrong_location(place)]
    for place in result.get("relatedLocations", []):
        problems += wrong_location(place)
    for flow in result.get("codeFlows", []):
        for thread in flow["threadFlows"]:
            problems += [each for step in thread["locations"] for each in wrong_location(step["location"])]
            problems += [] if thread["locations"] else ["a thread flow without a step"]
    if rules[result["ruleIndex"]]["id"] != result["ruleId"]:
        problems.append("the rule's index names another rule")
    if result["level"] not in {"none", "note", "warning", "error"} or not result["message"]["text"]:
        problems.append("no level or message")
    if not all(isinstance(each, str) and each for each in result["partialFingerprints"].values()):
        problems.append("a fingerprint that is no text")
    return problems


def wrong_log(log: dict[str, Any]) -> list[str]:
    """3.13 to 3.19: version, runs, a named driver whose rules have unique ids and describe themselves."""
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    problems = [each for result in run["results"] for each in wrong_result(result, rules)]
    if (
        log["version"] != "2.1.0"
        or not run["tool"]["driver"]["name"]
        or not log["$schema"].startswith("http")
    ):
        problems.append("head")
    if len({each["id"] for each in rules}) != len(rules):
        problems.append("two rules of one id")
    if not all(each["shortDescription"]["text"] for each in rules):
        problems.append("a rule that does not say what it checks")
    return problems


def test_a_whole_audit_is_valid_sarif(log: dict[str, Any]) -> None:
    assert len(log["runs"][0]["results"]) > 15
    assert wrong_log(log) == []


def test_fingerprints_tell_results_apart(log: dict[str, Any]) -> None:
    prints = [each["partialFingerprints"]["portraitistAudit/v1"] for each in log["runs"][0]["results"]]
    assert len(set(prints)) == len(prints)


def test_the_check_notices_a_broken_log(log: dict[str, Any]) -> None:
    result = log["runs"][0]["results"][0]
    result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] = "app/[id]/a b.ts"
    result["level"] = "fatal"
    assert len(wrong_log(log)) == 2
