"""Times the auditor against semgrep CE on the same tree, one process each: five plain patterns, five real rules.

`python bench/audit_speed.py TREE [--semgrep PATH] [--core N] [--repeat N]`; without semgrep only our own side is
measured: with all its rules, and with the five that are compared. CPU seconds are those of the measured process and
its children, so that a busy machine does not change the ratio much. semgrep's one job runs on several cores all the
same; with `--core` each side has that core alone.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PATTERNS = """
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
"""The least that finds what our facts hold: no rule of ours is as plain as these."""

COMPARABLE = """
rules:
  - id: missing-auth
    languages: [typescript, javascript]
    severity: WARNING
    message: a route that starts paid work and asks nobody who they are
    patterns:
      - pattern-either:
          - pattern: export async function $METHOD(...) { ... }
          - pattern: export const $METHOD = async (...) => { ... }
          - pattern: "$APP.$METHOD($PATH, ..., async (...) => { ... })"
      - metavariable-regex: {metavariable: $METHOD, regex: "(?i)^(get|post|put|patch|delete)$"}
      - pattern-not: export async function $METHOD(...) { ...; <... auth(...) ...>; ... }
      - pattern-not: export async function $METHOD(...) { ...; <... $A.getUser(...) ...>; ... }
      - pattern-not: export async function $METHOD(...) { ...; <... getServerSession(...) ...>; ... }
  - id: temporary-url-persisted
    languages: [typescript, javascript]
    severity: WARNING
    message: the provider's own address of a picture is stored
    mode: taint
    pattern-sources:
      - pattern: $R.run(...)
      - pattern: $R.predictions.get(...)
      - pattern: $R.predictions.create(...)
      - pattern: $R.wait(...)
    pattern-sinks:
      - pattern: $DB.insert(...)
      - pattern: $DB.update(...)
      - pattern: $DB.create(...)
      - pattern: $DB.values(...)
  - id: client-exposed-token
    languages: [typescript, javascript]
    severity: WARNING
    message: a secret of the server reaches the browser
    mode: taint
    pattern-sources:
      - pattern: process.env.$SECRET
      - pattern: import.meta.env.$SECRET
    pattern-sinks:
      - pattern: "$RES.json(...)"
      - pattern: "new Response(...)"
      - pattern: "<$TAG ...>...</$TAG>"
  - id: null-composite
    languages: [typescript, javascript]
    severity: WARNING
    message: owner/name:version is built of parts that nobody checked
    mode: taint
    pattern-sources:
      - pattern: $X.$FIELD
      - pattern: await $F(...)
    pattern-sanitizers:
      - pattern: if (!$X) { ... }
    pattern-sinks:
      - patterns:
          - pattern: "{..., version: $V, ...}"
          - focus-metavariable: $V
  - id: clears-working-model
    languages: [typescript, javascript]
    severity: WARNING
    message: the model in use is taken away where a training begins
    patterns:
      - pattern-inside: "async function $F(...) { ... }"
      - pattern: "$DB.update({..., $COLUMN: null, ...})"
"""
"""Five rules that each say what one of ours says, with what semgrep CE has for it: taint within a file."""
SAME = re.findall(r"- id: (\S+)", COMPARABLE)
"""The names of those rules, which are ours."""

Figures = tuple[float, float, int]
"""Wall seconds, CPU seconds, peak memory in MB."""


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


def measure(command: list[str], **environment: str) -> Figures:
    """Wall seconds, CPU seconds and peak memory in MB of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, after.ru_maxrss // 1024


def main() -> int:
    """Measures both sides in turn and prints seconds per 100,000 lines and the ratios, each of the quickest run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--semgrep", help="the semgrep executable to compare with")
    parser.add_argument("--core", type=int, help="the only core that either side runs on")
    parser.add_argument(
        "--repeat", type=int, default=1, help="runs of each side, of which the quickest counts"
    )
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    sides: dict[str, Callable[[], Figures]] = {
        "auditor, all facts and rules": lambda: _auditor(options.tree),
        f"auditor, all facts, the same {len(SAME)} rules": lambda: _auditor(
            options.tree, "--select", ",".join(SAME)
        ),
    }
    if options.semgrep:
        sides["semgrep, five plain patterns"] = lambda: _semgrep(options.semgrep, options.tree, PATTERNS)
        sides["semgrep, five comparable rules"] = lambda: _semgrep(options.semgrep, options.tree, COMPARABLE)
    runs: dict[str, list[Figures]] = {name: [] for name in sides}
    for _ in range(options.repeat):
        for name, side in sides.items():
            runs[name].append(side())
    best = {name: min(each, key=lambda run: run[1]) for name, each in runs.items()}
    _print(lines_of(options.tree), best)
    return 0


def _print(lines: int, best: dict[str, Figures]) -> None:
    sys.stdout.write(f"{lines} lines\n")
    for name, figures in best.items():
        memory = f", {figures[2]} MB at most" if name.startswith("auditor") else ""
        sys.stdout.write(f"{name}: {_shown(figures, lines)}{memory}\n")
        for other, ours in best.items():
            if name.startswith("semgrep") and other.startswith("auditor"):
                ratios = f"{figures[0] / ours[0]:.1f} wall, {figures[1] / ours[1]:.1f} CPU"
                sys.stdout.write(f"    {ratios} times {other}\n")


def _semgrep(executable: str, tree: Path, rules: str) -> Figures:
    """Their side with one set of rules, in one job, as ours is one process."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "rules.yaml"
        config.write_text(rules, "utf-8")
        command = [executable, "scan", "--config", str(config), "--metrics=off", "--jobs=1", "--quiet"]
        return measure([*command, "--disable-version-check", "--no-git-ignore", str(tree)])


def _auditor(tree: Path, *options: str) -> Figures:
    """Our side, its byte code compiled before, as that of an installed tool is."""
    command = [sys.executable, "-m", "portraitist.audit"]
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as empty:
        environment = {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
        measure([*command, empty, "--json", os.devnull], **environment)
        return measure([*command, str(tree), "--json", os.devnull, *options], **environment)


def _shown(figures: Figures, lines: int) -> str:
    wall, cpu, _ = figures
    share = 100_000 / max(lines, 1)
    return f"{wall:.1f} s wall, {cpu:.1f} s CPU ({cpu * share:.2f} s CPU per 100,000 lines)"


if __name__ == "__main__":
    sys.exit(main())
