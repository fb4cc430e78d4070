"""Times the auditor against semgrep CE running five comparable rules on the same tree, one process each.

`python bench/audit_speed.py TREE [--semgrep PATH]`; without semgrep only our own side is measured. CPU seconds
are those of the measured process and its children, so that a busy machine does not change the ratio much.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RULES = """
rules:
  - id: sdk-call
    languages: [typescript, javascript]
    severity: INFO
    message: provider call
    pattern-either:
      - pattern: $X.predictions.create(...)
      - pattern: $X.trainings.create(...)
      - pattern: $X.run(...)
  - id: raw-http
    languages: [typescript, javascript]
    severity: INFO
    message: raw HTTP to the provider
    patterns:
      - pattern: fetch($URL, ...)
      - metavariable-regex: {metavariable: $URL, regex: ".*api.replicate.com.*"}
  - id: payload-key
    languages: [typescript, javascript]
    severity: INFO
    message: payload key
    pattern: "{..., input: {...}, ...}"
  - id: env-read
    languages: [typescript, javascript]
    severity: INFO
    message: environment
    pattern: process.env.$NAME
  - id: null-write
    languages: [typescript, javascript]
    severity: INFO
    message: NULL written
    pattern: "$DB.update({..., $COLUMN: null, ...})"
"""


def lines_of(tree: Path) -> int:
    """Lines of code files below `tree`, vendored folders left out."""
    suffixes = {".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".py"}
    total = 0
    for folder, inner, names in os.walk(tree):
        inner[:] = [
            each for each in inner if each not in {"node_modules", ".git", ".next", "dist", "venv", ".venv"}
        ]
        for name in names:
            if Path(name).suffix in suffixes:
                total += (Path(folder) / name).read_bytes().count(b"\n")
    return total


def measure(command: list[str]) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds and peak memory in MB of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, after.ru_maxrss // 1024


def main() -> int:
    """Measures both sides and prints seconds per 100,000 lines and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--semgrep", help="the semgrep executable to compare with")
    options = parser.parse_args()
    lines = lines_of(options.tree)
    ours = measure([sys.executable, "-m", "portraitist.audit", str(options.tree), "--json", os.devnull])
    sys.stdout.write(f"{lines} lines\n")
    sys.stdout.write(f"auditor, all facts and rules: {_shown(ours, lines)}, {ours[2]} MB at most\n")
    if options.semgrep:
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "rules.yaml"
            config.write_text(RULES, "utf-8")
            command = [
                options.semgrep,
                "scan",
                "--config",
                str(config),
                "--metrics=off",
                "--jobs=1",
                "--quiet",
            ]
            theirs = measure([*command, "--disable-version-check", "--no-git-ignore", str(options.tree)])
        sys.stdout.write(f"semgrep, five rules: {_shown(theirs, lines)}\n")
        sys.stdout.write(f"ratio: {theirs[0] / ours[0]:.1f} wall, {theirs[1] / ours[1]:.1f} CPU\n")
    return 0


def _shown(figures: tuple[float, float, int], lines: int) -> str:
    wall, cpu, _ = figures
    share = 100_000 / max(lines, 1)
    return f"{wall:.1f} s wall, {cpu:.1f} s CPU ({cpu * share:.2f} s CPU per 100,000 lines)"


if __name__ == "__main__":
    sys.exit(main())
