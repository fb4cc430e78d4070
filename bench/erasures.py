"""Members erased at random moments of training and generation, under random kills: nothing of them may be left.

    python bench/erasures.py --erasures 500     against the simulated provider, only the worker is killed
    python bench/erasures.py --engine 20        against the embedded engine and its disk, any part is killed

Prints how many were erased, how often a part was killed, in which states the members were, and every row, file, folder,
line of a log, model or run that still carries one of their ids. CI runs 20 and 1 (tests/chaos, tests/acceptance).
"""

import argparse
import asyncio
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import throwaway

# isort: split
from tests.acceptance.harness import House
from tests.acceptance.leftovers import left, watching_over
from tests.chaos.erasing import erase_at_random
from tests.chaos.rig import Rig
from tests.photos import drawn_selfies

from portraitist.kit.embedded_postgres import EmbeddedPostgres

PARTS = ("web", "worker", "engine", "engine-worker", "postgres")
WITHIN_S = 180  # the engine forgets in rounds of its own, and parts that were killed come back first
TRIES = 20  # to ask a studio whose web process was killed just now
STATE = """select coalesce((select 'generation ' || status from generation_trackers where user_id = %s
        order by created_at desc limit 1),
    (select 'training ' || status from trainings where user_id = %s order by created_at desc limit 1), 'photos')"""


def main() -> None:
    """Erase, and tell; ends with 1 where anything was left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--erasures", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", type=int, metavar="N", help="erase N on the embedded engine instead")
    chosen = parser.parse_args()
    if chosen.engine:
        raise SystemExit(_told(_on_the_engine(chosen.engine, random.Random(chosen.seed))))
    with throwaway.server() as server, tempfile.TemporaryDirectory() as home:
        rig = Rig(server, throwaway.database(server, "erasures"), Path(home), seed=chosen.seed)
        with rig.running():
            outcome = asyncio.run(
                erase_at_random(rig, chosen.erasures, seed=chosen.seed, most_s=60 + 20 * chosen.erasures)
            )
    raise SystemExit(_told(vars(outcome)))


def _told(outcome: dict[str, Any]) -> int:
    print(json.dumps(outcome, indent=1))
    return 1 if outcome["left"] else 0


def _on_the_engine(count: int, rng: random.Random) -> dict[str, Any]:
    """One after another: a member shoots, some part dies, the member is erased, and everything is searched."""
    folder = Path(tempfile.mkdtemp(prefix="portraitist-erasures-"))
    folder.chmod(0o711)  # under root, PostgreSQL runs as another user who must pass through
    drawn_selfies(folder / "photos")
    house, began = House(folder), time.monotonic()
    killed, states, remains, slowest = Counter[str](), Counter[str](), list[str](), 0.0
    try:
        with house.up():
            whole = house.shoot(folder / "photos", "in a studio", "first", "--member", "first").seconds
            for number in range(count):
                part = rng.choice([None, *PARTS])
                member = _shot_until(house, f"member-{number}", rng.uniform(1, whole), states)
                if part is not None and house.kill(part):
                    killed[part] += 1
                found, took = _erased(house, f"member-{number}", member)
                remains, slowest = remains + found, max(slowest, took)
                print(
                    f"{number + 1}/{count}: {part} killed, gone after {took:.0f} s, {len(found)} left",
                    flush=True,
                )
    finally:
        EmbeddedPostgres(house.home, state_root=house.state).stop()
        shutil.rmtree(folder)
    seconds = time.monotonic() - began
    return {
        "erasures": count,
        "kills": killed,
        "states": states,
        "slowest_s": slowest,
        "seconds": seconds,
    } | {"left": remains}


def _shot_until(house: House, name: str, seconds: float, states: Counter[str]) -> str:
    """A member's shoot, left off so many seconds after its account was there; the member's id."""
    known = {user for (user,) in house.sql("portraitist", "select id from users")}
    shooting = house.shooting(house.folder / "photos", "in a studio", name, "--member", name)
    while not (new := {user for (user,) in house.sql("portraitist", "select id from users")} - known):
        time.sleep(0.1)
    time.sleep(seconds)
    shooting.kill()
    shooting.communicate()
    [member] = new
    [(state,)] = house.sql("portraitist", STATE, member, member)
    states[state] += 1
    return str(member)


def _erased(house: House, name: str, member: str) -> tuple[list[str], float]:
    """Ask until a studio hears it; what is left of the member when there was time enough, and how long that was."""
    began = time.monotonic()
    for _ in range(TRIES):
        asked = house.run("account", "erase", "--member", name, "--yes")
        if asked.code == 0:
            break
        time.sleep(1)
    else:
        return [f"never erased: {asked.said[-500:]}"], time.monotonic() - began
    while (found := list(left(house, member))) and time.monotonic() < began + WITHIN_S:
        watching_over(house)
        time.sleep(0.5)
    return found, time.monotonic() - began


if __name__ == "__main__":
    main()
