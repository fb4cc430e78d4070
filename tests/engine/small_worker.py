"""A worker whose trainings are small: the same program, with `small_train` in the place of the trainer."""

from portraitist.engine import worker
from portraitist.engine.children import process

if __name__ == "__main__":
    process.PROGRAMS["train"] = "tests.engine.small_train"
    worker.main()
