"""The simulated cloud as a process of its own, for benches: its CPU is not the studio's.

    python bench/simulated_provider.py '{"training_s": [1, 2]}'     # prints its address

With `--standing N` every run that is asked about is one that goes on for ever, and lists show N of each kind.
"""

import json
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import throwaway

# isort: split
from tests.fakes import pictures
from tests.fakes.serving import served
from tests.fakes.simulated_answers import Answer, Asked, said, stamp
from tests.fakes.simulated_cloud import Behaviour, SimulatedCloud
from tests.fakes.simulated_http import CloudOverHttp

BEGAN = datetime.now(UTC)
AGES = {"trainings": timedelta(minutes=40), "predictions": timedelta(minutes=20)}
PAGE = 100
BAR = "flux_train_replicate:  50%|███| {step}/1000 [00:01<00:01,  1.05s/it]\n"
assert throwaway.TICKS, "it also puts the repository on the path"


class Standing(SimulatedCloud):
    """Answers for any run: it is being worked on. Lists show so many of each kind, the newest (number 0) first."""

    standing = 0

    def handle(self, asked: Asked) -> Answer:
        """A look at a run or at a page of a list; everything else as usual."""
        where = urlsplit(asked.url)
        parts = where.path.strip("/").split("/")
        if asked.method != "GET" or len(parts) < 2 or parts[1] not in AGES:
            return super().handle(asked)
        if len(parts) == 3:
            return said(self._going_on(parts[1], int(parts[2][1:])))
        first = int(parse_qs(where.query).get("cursor", ["0"])[0])
        numbers = range(first, min(first + PAGE, self.standing))
        more = f"{self.base_url}{where.path}?cursor={first + PAGE}" if first + PAGE < self.standing else None
        results = [self._going_on(parts[1], number) for number in numbers]
        return said({"next": more, "previous": None, "results": results})

    def _going_on(self, kind: str, number: int) -> dict[str, Any]:
        now = datetime.now(UTC)
        age = AGES[kind] * number / max(1, self.standing) + (now - BEGAN)
        step = int(1000 * age / timedelta(hours=1)) if kind == "trainings" else 0
        log = BAR.format(step=step) * 20 if kind == "trainings" else "Using seed: 1\n"
        created = stamp(now - age)
        return {
            "id": f"{kind[0]}{number}",
            "status": "processing",
            "logs": log,
            "input": {},
            "created_at": created,
            "started_at": created,
        }


def main() -> None:
    """Serve until stdin closes."""
    standing = "--standing" in sys.argv
    given = next((word for word in sys.argv[1:] if word.startswith("{")), "{}")
    values = json.loads(given)
    pictures.SIZE = tuple(values.pop("size", pictures.SIZE))
    kind = Standing if standing else SimulatedCloud
    Standing.standing = int(sys.argv[-1]) if standing else 0
    cloud = kind(lambda: datetime.now(UTC), random.Random(1), Behaviour(**values))
    with served(CloudOverHttp(cloud)) as address:
        print(address, flush=True)
        sys.stdin.read()
    time.sleep(0.1)


if __name__ == "__main__":
    main()
