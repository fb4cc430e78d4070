"""How many schedules of faults and kills the studio survives: simulated ones, and real kills of the real worker.

    python bench/crash_schedules.py --simulated 100000 --real 1000 --seeds bench/crash_schedules.jsonl
    python bench/crash_schedules.py --forever --real 100   # 2,000 schedules and 100 kills, again and again
    python bench/crash_schedules.py --replay 4711          # one simulated schedule again, exactly

Parts go on where the file of seeds ends. What has been run and what was found stands in that file, a line a part.
"""

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import throwaway

# isort: split
from tests.chaos import killing
from tests.chaos.rig import Rig
from tests.simulation.checker import violations
from tests.simulation.installing import installed
from tests.simulation.plans import drawn
from tests.simulation.schedules import judged_in_parallel
from tests.simulation.world import simulated

KILLS_A_PART = 50
SCHEDULES_A_PART = 1_000
MEMBERS = 8


def main() -> int:
    """0 where nothing was found."""
    options = _options()
    if options.replay is not None:
        return _replayed(options.replay)
    end = math.inf if options.minutes is None else time.monotonic() + options.minutes * 60
    found = _round(options, end)
    while options.forever and not found and time.monotonic() < end:
        found = _round(options, end)
    print(f"violations: {found}")
    return 1 if found else 0


def _round(options: argparse.Namespace, end: float) -> int:
    """So many of both as were asked for, from where the file of seeds ends; returns what was found."""
    done = _lines(options.seeds)
    return _simulated(options, done, end) + _real(options, done, end)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulated", type=int, default=2_000, help="how many simulated schedules")
    parser.add_argument("--real", type=int, default=0, help="how many real kills")
    parser.add_argument("--seeds", type=Path, default=Path("crash_schedules.jsonl"), help="what was run")
    parser.add_argument("--minutes", type=float, help="stop after this long")
    parser.add_argument(
        "--forever", action="store_true", help="the same again and again, until something is found"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument(
        "--replay", type=int, help="run this simulated schedule again and print what is wrong"
    )
    return parser.parse_args()


def _replayed(seed: int) -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets in the product have an order too
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"PYTHONHASHSEED": "0"})
    with installed():
        plan = drawn(seed)
        found = violations(simulated(plan))
    print(plan, *found, sep="\n")
    return 1 if found else 0


def _simulated(options: argparse.Namespace, done: list[dict[str, Any]], end: float) -> int:
    """Parts of schedules, a line each; the first bad one ends it."""
    first = max((line["to"] for line in done if line["kind"] == "simulated"), default=0)
    last, began, findings = first + options.simulated, time.monotonic(), []
    start = first
    for count, found in judged_in_parallel(range(first, last), options.processes) if first < last else ():
        findings += found
        over = bool(findings) or time.monotonic() > end
        if over or count % SCHEDULES_A_PART == 0 or start + count == last:
            took, began = time.monotonic() - began, time.monotonic()
            line = {"kind": "simulated", "from": first, "to": start + count, "seconds": round(took, 1)}
            _write(options.seeds, line | {"commit": _commit(), "found": findings})
            rate = (start + count - first) / took
            print(
                f"simulated: seeds {first}–{start + count - 1}, {rate:.1f} a second, {findings=}", flush=True
            )
            first = start + count
        if over:
            break
    return len(findings)


def _real(options: argparse.Namespace, done: list[dict[str, Any]], end: float) -> int:
    """Parts of kills, each on a server of its own, as many at once as there are processes; a line each."""
    seed = max((line["seed"] + 1 for line in done if line["kind"] == "real"), default=0)
    parts = [min(KILLS_A_PART, options.real - first) for first in range(0, options.real, KILLS_A_PART)]
    context, found = multiprocessing.get_context("spawn"), 0
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        for first in range(0, len(parts), options.processes):
            if time.monotonic() > end:
                break
            at_once = parts[first : first + options.processes]
            outcomes = pool.map(_part, range(seed, seed + len(at_once)), at_once)
            for number, outcome in enumerate(outcomes, seed):
                found += _told(options.seeds, number, outcome)
            seed += len(at_once)
    return found


def _told(seeds: Path, seed: int, outcome: killing.Outcome) -> int:
    slowest = round(max(outcome.resumed_s, default=0.0), 2)
    line = {"kind": "real", "seed": seed, "kills": outcome.kills, "rows": outcome.rows}
    line |= {"slowest_resume_s": slowest, "commit": _commit(), "found": outcome.violations}
    _write(seeds, line)
    print(
        f"real: seed {seed}, {outcome.kills} kills, {outcome.rows} rows, slowest resume {slowest} s",
        flush=True,
    )
    return len(outcome.violations)


def _part(seed: int, kills: int) -> killing.Outcome:
    async def attacked(rig: Rig) -> killing.Outcome:
        await rig.enrol(MEMBERS)
        return await killing.at_random(rig, kills, seed=seed, longest_s=0.8, faulty=0.03)

    with throwaway.server() as running, tempfile.TemporaryDirectory() as home:
        name = throwaway.database(running, f"part_{seed}")
        with Rig(running, name, Path(home), seed=seed).running() as rig:
            return asyncio.run(attacked(rig))


def _commit() -> str:
    """What is being tested."""
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return said.stdout.strip()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _write(path: Path, line: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
