"""Starts real worker processes quickly: imports once, forks on demand, tells how each ended.

A line of JSON on stdin is the environment of the next worker; answers are its pid, then `ended STATUS`. Waiting times
that are constants of the product are shortened here, before anything else is imported.
"""

import asyncio
import json
import os
import sys
from datetime import timedelta

from portraitist.studio import leases
from portraitist.studio.provider import transport

leases.LEASE = timedelta(seconds=float(os.environ.get("PROOF_LEASE_S", "10")))
transport.CREATE_DEADLINE_S = float(os.environ.get("PROOF_POST_DEADLINE_S", "30"))  # type: ignore[misc]


def work(environment: dict[str, str]) -> None:
    """Be a worker, until killed."""
    from portraitist.kit import logging
    from portraitist.studio import worker
    from portraitist.studio.config import StudioSettings

    os.environ.update(environment)
    logging.configure(json=True, level=environment.get("PROOF_LOG", "error"))
    asyncio.run(worker.run(StudioSettings()))


def main() -> None:
    """Fork a worker for each line."""
    from portraitist.studio import worker

    assert worker.run  # imported once, for all of them
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.close(0)
            work(json.loads(line))
            os._exit(0)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print("ended", status, flush=True)


if __name__ == "__main__":
    main()
