"""Starts real worker and web processes quickly: imports once, forks on demand, tells how each ended.

A line of JSON on stdin is the environment of the next worker; answers are its pid, then `ended STATUS`. What waits
for days, or needs large files, in the product is made small here where `PROOF_SMALL` asks for it.
"""

import asyncio
import json
import os
import sys
from datetime import timedelta

from portraitist.studio.config import StudioSettings


def work(environment: dict[str, str]) -> None:
    """Be a worker, until killed."""
    from portraitist.kit import logging
    from portraitist.studio import worker

    os.environ.update(environment)
    if "PROOF_SMALL" in environment:
        make_small()
    logging.configure(json=True, level=environment.get("PROOF_LOG", "error"))
    if "PROOF_WEB_PORT" in environment:
        serve(StudioSettings(), int(environment["PROOF_WEB_PORT"]))
    else:
        asyncio.run(worker.run(StudioSettings()))


def make_small() -> None:
    """Days and megabytes, as seconds and bytes."""
    from portraitist.studio import worker
    from portraitist.studio.images import tasks as purging
    from portraitist.studio.training import late_zips, weights, weights_parts

    purging.UNDO_FOR, worker.PURGE_SECONDS = timedelta(seconds=3), 0.5
    late_zips.LATEST = weights.LATEST = timedelta(seconds=2)
    worker.ZIPS_SECONDS = 0.5
    weights_parts.PART_BYTES = 4_096


def serve(settings: StudioSettings, port: int) -> None:
    """Be the web process, until killed."""
    import uvicorn

    from portraitist.studio import app

    uvicorn.run(app.create(settings), host="127.0.0.1", port=port, log_config=None)


def main() -> None:
    """Fork a worker for each line."""
    from portraitist.studio import app, worker

    assert worker.run and app.create  # imported once, for all of them
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
