#!/usr/bin/env python3
"""Writes the bill of materials of this environment (CycloneDX JSON), and fails unless it lists what is installed.

`.ci/sbom.py FILE`; every distribution that Python sees must be in it with its version, and nothing else.
"""

import json
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path


def canonical(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> set[tuple[str, str]]:
    """Name and version of every distribution that this Python sees."""
    return {(canonical(each.metadata["Name"]), each.version) for each in distributions()}


def listed(document: str) -> set[tuple[str, str]]:
    """Name and version of every component of a bill of materials, the main one included."""
    bill = json.loads(document)
    components = [*bill.get("components", ()), bill.get("metadata", {}).get("component")]
    return {(canonical(str(each["name"])), str(each.get("version", ""))) for each in components if each}


def difference(document: str, present: set[tuple[str, str]]) -> list[str]:
    """What the bill lacks, and what it has too much."""
    told = listed(document)
    return [
        *(f"not listed: {name} {version}" for name, version in sorted(present - told)),
        *(f"not installed: {name} {version}" for name, version in sorted(told - present)),
    ]


def main(out: Path) -> int:
    """0 only where the bill is written and complete."""
    # not compared with CycloneDX's schema by its own writer: that takes twenty times as long as writing it
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--no-validate"]
    command += ["--output-reproducible", "--of", "JSON"]
    done = subprocess.run([*command, sys.executable], capture_output=True, text=True, check=True)
    out.write_text(done.stdout)
    wrong = difference(done.stdout, installed())
    print("\n".join([*wrong, f"{len(listed(done.stdout))} components in {out}"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
