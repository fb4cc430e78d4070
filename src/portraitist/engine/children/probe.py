"""The process that times a few training steps when an engine starts, and ends."""

import os
from pathlib import Path

from portraitist.engine.children.channel import Channel
from portraitist.engine.tiny import member


def main() -> None:
    """Take the base's folder, tell the seconds per step."""
    os.nice(1)
    channel = Channel()
    job = channel.job()
    channel.send("measured", seconds_per_step=member.time_steps(Path(job["base"])))


if __name__ == "__main__":
    main()
