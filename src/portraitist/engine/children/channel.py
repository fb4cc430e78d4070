"""A child's side of the talk with the worker: commands in on standard input, events out on standard output.

What a library prints goes to standard error instead. When the worker is gone, so is its pipe, and the child
ends at once: no training goes on that nobody waits for.
"""

import json
import os
import queue
import sys
import threading
from typing import Any

ORPHANED = 3
"""Exit status of a child that lost its worker."""


class Canceled(Exception):
    """The worker wants this job no more."""


class Channel:
    """Both directions, with the flags that a job looks at between steps."""

    def __init__(self) -> None:
        self._events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._jobs: queue.Queue[dict[str, Any]] = queue.Queue()
        self._may_go = threading.Event()
        self._may_go.set()
        self._canceled = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            message = json.loads(line)
            match message["command"]:
                case "pause":
                    self._may_go.clear()
                case "resume":
                    self._may_go.set()
                case "cancel":
                    self._canceled.set()
                    self._may_go.set()
                case "job":
                    self._canceled.clear()
                    self._jobs.put(message)
        os._exit(ORPHANED)

    def job(self) -> dict[str, Any]:
        """Wait for the next job."""
        return self._jobs.get()

    def breathe(self) -> None:
        """Between steps: wait while something more urgent runs. Raises `Canceled`."""
        self._may_go.wait()
        if self._canceled.is_set():
            raise Canceled

    def send(self, event: str, **values: Any) -> None:
        """Tell the worker."""
        self._events.write(json.dumps({"event": event, **values}) + "\n")
        self._events.flush()

    def log(self, text: str) -> None:
        """A line for the run's logs."""
        self.send("log", text=text)

    def bar(self, text: str) -> None:
        """A line of a bar: of several in one flush only the last is kept."""
        self.send("bar", text=text)
