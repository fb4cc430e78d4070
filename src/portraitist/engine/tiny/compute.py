"""How torch uses this machine: threads, attention kernels, the number type. Nothing about models.

A process that computes should start with OMP_WAIT_POLICY=PASSIVE in its environment (`ENVIRONMENT`): threads that
spin while they wait make a busy machine ten times slower.
"""

import time
from types import TracebackType

import torch

COMPUTE = torch.bfloat16
ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
MOST_THREADS = 2


def use_threads(count: int) -> None:
    """So many threads for every product, and the attention kernel that is fastest on a CPU."""
    torch.set_num_threads(count)
    # The switch is CUDA's by name, yet it selects the CPU kernel as well: 10–15 % faster without it here.
    torch.backends.cuda.enable_flash_sdp(False)


class Pacer:
    """Chooses one or two threads by timing the very steps of a training, again and again: other load comes and goes.

    Use it as a context around each step. Two threads that share a core with somebody else's work are slower than
    one thread alone, and for bf16 convolutions many times slower.
    """

    TRIAL, BETWEEN = 4, 150
    """Steps timed with each number of threads, and steps between two such trials."""

    def __init__(self, most: int = MOST_THREADS) -> None:
        self.choices = list(range(1, most + 1))
        self.threads = most
        self.seconds = 0.0
        self._step = 0
        self._times: dict[int, float] = {}
        self._begun = 0.0
        use_threads(most)

    def __enter__(self) -> None:
        phase, within = divmod(self._step % (self.TRIAL * len(self.choices) + self.BETWEEN), self.TRIAL)
        if within == 0 and phase < len(self.choices):
            torch.set_num_threads(self.choices[phase])
            self._times[self.choices[phase]] = 0.0
        elif within == 0 and phase == len(self.choices):
            self.threads = min(self._times, key=lambda count: self._times[count])
            torch.set_num_threads(self.threads)
        self._begun = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        taken = time.perf_counter() - self._begun
        self.seconds += taken
        count = torch.get_num_threads()
        self._times[count] = self._times.get(count, 0.0) + taken
        self._step += 1
