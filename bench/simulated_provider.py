"""The simulated cloud as a process of its own, for benches: its CPU is not the studio's.

    python bench/simulated_provider.py '{"training_s": [1, 2]}'     # prints its address

With `--standing` every run that is asked about is one that goes on for ever.
"""

import json
import random
import sys
import time
from datetime import UTC, datetime
from typing import Any

import throwaway

# isort: split
from tests.fakes import pictures
from tests.fakes.serving import served
from tests.fakes.simulated_cloud import Answer, Asked, Behaviour, SimulatedCloud, said, stamp
from tests.fakes.simulated_http import CloudOverHttp

assert throwaway.TICKS, "it also puts the repository on the path"


class Standing(SimulatedCloud):
    """Answers for any run: it is being worked on."""

    def handle(self, asked: Asked) -> Answer:
        """A look at a run; everything else as usual."""
        parts = asked.url.strip("/").split("/")
        if asked.method == "GET" and len(parts) == 3 and parts[1] in ("trainings", "predictions"):
            return said(_going_on(parts[2]))
        return super().handle(asked)


def _going_on(run_id: str) -> dict[str, Any]:
    log = "flux_train_replicate:  50%|███| 500/1000 [00:01<00:01,  1.05s/it]\n"
    now = stamp(datetime.now(UTC))
    return {
        "id": run_id,
        "status": "processing",
        "logs": log,
        "input": {},
        "created_at": now,
        "started_at": now,
    }


def main() -> None:
    """Serve until stdin closes."""
    standing = "--standing" in sys.argv
    given = next((word for word in sys.argv[1:] if word.startswith("{")), "{}")
    values = json.loads(given)
    pictures.SIZE = tuple(values.pop("size", pictures.SIZE))
    kind = Standing if standing else SimulatedCloud
    cloud = kind(lambda: datetime.now(UTC), random.Random(1), Behaviour(**values))
    with served(CloudOverHttp(cloud)) as address:
        print(address, flush=True)
        sys.stdin.read()
    time.sleep(0.1)


if __name__ == "__main__":
    main()
