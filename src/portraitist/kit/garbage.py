"""The garbage collector of a process that serves people: it stops everybody, so it is given little to look through.

A web process has some 270,000 objects once it is loaded, with a language model's library; going through all of them
takes a tenth of a second and more. What a collection is for comes and goes with requests.
"""

import gc
from typing import Final

THRESHOLDS: Final = (5_000, 20, 20)
"""New objects before the youngest are looked through, and how often that is before older ones are."""


def spare_what_is_loaded() -> None:
    """What there is by now stays to the end of the process: it is looked through no more, and the rest less often."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
