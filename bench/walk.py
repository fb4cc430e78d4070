"""The whole way with the embedded engine as it is shipped, timed: what a member waits for on this machine.

    python bench/walk.py [--photos FOLDER] [--rounds N]

Trains a member, draws three pictures several times, then again while a second member trains. Prints seconds as the
command line's user has them (start of the command included) and the most memory that one process of the engine took.
"""

import argparse
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.acceptance.harness import TRAINS, Done, House
from tests.photos import astronaut_selfies, drawn_selfies

WANTED = {"training": 240.0, "three pictures": 15.0, "three pictures beside a training": 30.0, "memory": 2.0}


def trained(house: House, photos: Path, member: str) -> Done:
    """A member's first training."""
    return sound(house.run("train", str(photos), "--member", member, "--consent"))


def drawn(house: House, member: str, rounds: int, prefix: str) -> list[float]:
    """Seconds of each of `rounds` commands that make three pictures."""
    prompts = ("in a garden, soft morning light", "black and white", "close-up", "at night", "on a beach")
    return [
        sound(
            house.run("generate", prompts[n % len(prompts)], "--member", member, "--out", f"{prefix}-{n}")
        ).seconds
        for n in range(rounds)
    ]


def sound(done: Done) -> Done:
    """A command that worked; anything else ends the measurement."""
    if done.code != 0:
        raise SystemExit(done.said)
    return done


@contextmanager
def memory_of_engine() -> Iterator[list[float]]:
    """The highest resident memory (GiB) of any training or drawing process of this machine, watched meanwhile."""
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            for status in Path("/proc").glob("[0-9]*/status"):
                with suppress(OSError):
                    if b"portraitist.engine.children" not in (status.parent / "cmdline").read_bytes():
                        continue
                    high = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
                    peak[0] = max([peak[0], *(int(line.split()[1]) / 2**20 for line in high)])

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, help="folder of the first member (default: the tests' sample)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="portraitist-walk-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        first, second = options.photos, folder / "second"
        if first is None:
            first = folder / "first"
            astronaut_selfies(first)
        drawn_selfies(second)
        house = House(folder)
        del house.environ[
            "ENGINE_MAX_STEPS"
        ]  # the engine fits the steps to its time, as it does for everybody
        with memory_of_engine() as peak, house.up():
            command = trained(house, first, "first").seconds
            ((itself,),) = house.sql(
                "portraitist", "select extract(epoch from succeeded_at - started_at)::float8 from trainings"
            )
            print(
                f"training: {itself:.0f} s (at most {WANTED['training']:.0f}); the whole command, photos judged"
                f" and the version verified: {command:.0f} s",
                flush=True,
            )
            report("three pictures", drawn(house, "first", options.rounds, "alone"))
            other = house.start("train", str(second), "--member", "second", "--consent")
            house.until(other, TRAINS)
            report("three pictures beside a training", drawn(house, "first", options.rounds, "beside"))
            if other.poll() is not None:
                raise SystemExit("the second training was over too soon for that")
            print(f"second training, disturbed: {sound(house.ended(other)).seconds:.0f} s more")
        print(f"most memory of one process: {peak[0]:.2f} GiB (at most {WANTED['memory']:.0f})")


def report(what: str, seconds: list[float]) -> None:
    """One line: the middle and the worst."""
    print(
        f"{what}: median {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s of {len(seconds)}"
        f" (at most {WANTED[what]:.0f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
