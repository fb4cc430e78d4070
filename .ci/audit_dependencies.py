#!/usr/bin/env python3
"""Looks every installed package up in a database of known vulnerabilities, by pip-audit.

Green only if each one was looked up and none is known to be vulnerable: a package without an answer is listed as
"not checked" and fails the run, and so does a service that can't be reached. Needs the network, so it is no part
of `make test`.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

OURS = "portraitist"


def canonical(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, str]:
    """Every package of this environment but our own, and its version without a build's label (`+cpu`)."""
    found = {canonical(each.metadata["Name"]): each.version for each in distributions()}
    return {name: version.partition("+")[0] for name, version in sorted(found.items()) if name != OURS}


def looked_up(packages: Mapping[str, str], service: list[str]) -> tuple[list[Mapping[str, Any]], str]:
    """What pip-audit says about each package; where it says nothing, its last words."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()))
        options = ["--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json", "--timeout=20"]
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", "-r", str(wanted), *options, *service],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        return list(json.loads(done.stdout)["dependencies"]), ""
    except (ValueError, KeyError):
        lines = done.stderr.strip().splitlines()
        return [], lines[-1] if lines else f"pip-audit ended with {done.returncode}"


def verdict(packages: Mapping[str, str], answers: list[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Lines about vulnerable packages, and about those that were not checked."""
    vulnerable, checked, reasons = [], set(), {}
    for answer in answers:
        name = canonical(str(answer["name"]))
        if "skip_reason" in answer:
            reasons[name] = str(answer["skip_reason"])
            continue
        checked.add((name, str(answer["version"])))
        known = ", ".join(str(each["id"]) for each in answer["vulns"])
        vulnerable += [f"vulnerable: {name} {answer['version']} ({known})"] if known else []
    missing = [
        f"not checked: {name} {version}" + (f" ({reasons[name]})" if name in reasons else "")
        for name, version in packages.items()
        if (name, version) not in checked
    ]
    return vulnerable, missing


def main() -> int:
    """0 only where every package was looked up and none is known to be vulnerable."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--osv-url", help="ask this OSV service instead of PyPI")
    chosen = arguments.parse_args()
    packages = installed()
    service = ["--vulnerability-service=osv", f"--osv-url={chosen.osv_url}"] if chosen.osv_url else []
    answers, trouble = looked_up(packages, service)
    vulnerable, missing = verdict(packages, answers)
    print("\n".join([*vulnerable, *missing]))
    if trouble:
        print(f"the service gave no answer: {trouble}")
    print(
        f"{len(packages)} packages: {len(packages) - len(missing)} looked up, {len(vulnerable)} vulnerable, "
        f"{len(missing)} not checked"
    )
    return 1 if vulnerable or missing or not packages else 0


if __name__ == "__main__":
    sys.exit(main())
