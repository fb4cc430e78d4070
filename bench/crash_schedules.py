"""How many schedules of faults and kills the studio survives: simulated ones, and real kills of the real worker.

    python bench/crash_schedules.py --simulated 100000 --real 1000 --seeds bench/crash_schedules.jsonl
    python bench/crash_schedules.py --replay 4711          # one simulated schedule again, exactly

Parts go on where the file of seeds ends. What has been run and what was found stands in that file, a line a part.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
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
MEMBERS = 8


def main() -> int:
    """0 where nothing was found."""
    options = _options()
    if options.replay is not None:
        return _replayed(options.replay)
    done = _lines(options.seeds)
    end = time.monotonic() + options.minutes * 60
    found = _simulated(options, done, end) + _real(options, done, end)
    print(f"violations: {found}")
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulated", type=int, default=2_000, help="how many simulated schedules")
    parser.add_argument("--real", type=int, default=0, help="how many real kills")
    parser.add_argument("--seeds", type=Path, default=Path("crash_schedules.jsonl"), help="what was run")
    parser.add_argument("--minutes", type=float, default=10_000, help="stop after this long")
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
    first = max((line["to"] for line in done if line["kind"] == "simulated"), default=0)
    wanted, began, findings, reached = options.simulated, time.monotonic(), [], first
    if wanted:
        for count, found in judged_in_parallel(range(first, first + wanted), options.processes):
            findings += found
            reached = first + count
            if time.monotonic() > end:
                break
        took = time.monotonic() - began
        print(f"simulated: seeds {first}–{reached - 1}, {(reached - first) / took:.1f} a second, {findings=}")
        line = {
            "kind": "simulated",
            "from": first,
            "to": reached,
            "seconds": round(took, 1),
            "found": findings,
        }
        _write(options.seeds, line)
    return len(findings)


def _real(options: argparse.Namespace, done: list[dict[str, Any]], end: float) -> int:
    seed = max((line["seed"] + 1 for line in done if line["kind"] == "real"), default=0)
    left, found = options.real, 0
    with throwaway.server() as running:
        while left > 0 and time.monotonic() < end:
            outcome = _part(running, seed, min(KILLS_A_PART, left))
            slowest = round(max(outcome.resumed_s, default=0.0), 2)
            line = {"kind": "real", "seed": seed, "kills": outcome.kills, "rows": outcome.rows}
            _write(options.seeds, line | {"slowest_resume_s": slowest, "found": outcome.violations})
            print(
                f"real: seed {seed}, {outcome.kills} kills, {outcome.rows} rows, slowest resume {slowest} s"
            )
            left, seed, found = left - outcome.kills, seed + 1, found + len(outcome.violations)
    return found


def _part(running: Any, seed: int, kills: int) -> killing.Outcome:
    name = throwaway.database(running, f"part_{seed}")

    async def attacked(rig: Rig) -> killing.Outcome:
        await rig.enrol(MEMBERS)
        return await killing.at_random(rig, kills, seed=seed, longest_s=0.8)

    with tempfile.TemporaryDirectory() as home, Rig(running, name, Path(home), seed=seed).running() as rig:
        return asyncio.run(attacked(rig))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _write(path: Path, line: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
