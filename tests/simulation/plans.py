"""What happens in one schedule, drawn from its seed: what members do, what breaks, who dies when."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.fakes.simulated_cloud import Behaviour
from tests.simulation.remote import FAULTS

LABELS = (
    "admission.admitted",
    "admission.committed",
    "photos.stored",
    "photos.uploaded",
    "photos.cleared",
    "training.before_save",
    "training.saved",
    "training.before_post",
    "training.after_post",
    "verification.before_post",
    "verification.after_post",
    "verification.promoting",
    "verification.promoted",
    "generation.before_save",
    "generation.saved",
    "generation.before_post",
    "generation.after_post",
    "generation.downloaded",
    "generation.signed",
    "generation.put",
    "generation.entered",
    "weights.wanted",
    "weights.part",
    "weights.put",
    "weights.saved",
    "twins.found",
    "twins.ended",
    "webhooks.stored",
    "webhooks.taken",
    "images.purging",
    "images.file_gone",
)
"""Every failpoint of the product; `test_schedules` holds this list to the source."""

SCRIPTED = ("cancel", "delete", "429", "500", "timeout", "reset")
"""What is combined with each label: a member's wish at that step, or the fate of the next request."""


@dataclass(frozen=True)
class Action:
    """Something a member does, `after` seconds from the start."""

    after: float
    what: str


@dataclass(frozen=True)
class Plan:
    """One schedule. `deaths`: label → at which of its hits the worker dies. `at_label`: what else happens there."""

    seed: int
    members: tuple[tuple[Action, ...], ...]
    behaviour: Behaviour = field(default_factory=Behaviour)
    faulty: float = 0.0
    """How often a request meets a fault, as long as `faults_last_s` have not passed."""
    faults_last_s: float = 3_600.0
    kinds: tuple[str, ...] = FAULTS
    database_faulty: float = 0.0
    storage_faulty: float = 0.0
    deaths: Mapping[str, int] = field(default_factory=dict)
    deaths_at_steps: frozenset[int] = frozenset()
    at_label: Mapping[str, str] = field(default_factory=dict)
    down_s: float = 5.0
    webhooks: bool = False
    """Whether the provider is asked for webhooks; many are lost, late, doubled or forged then."""
    accounts: int = 1
    """How many provider accounts there are; members go from one to the other."""
    rates: bool = False
    """Whether the provider's rates are low, and kept to."""
    outage: tuple[float, float] | None = None
    """From and to, in seconds from the start: every process of ours is dead."""


def drawn(seed: int) -> Plan:
    """A random plan: one or two members, a misbehaving provider, faults, up to three deaths."""
    rng = random.Random(seed)
    rough = rng.random() < 0.7
    return Plan(
        seed=seed,
        members=tuple(_life(rng) for _ in range(rng.choice((1, 2, 2)))),
        behaviour=_behaviour(rng),
        faulty=rng.choice((0.03, 0.1, 0.25)) if rough else 0.0,
        faults_last_s=rng.choice((600.0, 3_600.0)),
        kinds=tuple(rng.sample(FAULTS, rng.randint(1, len(FAULTS)))),
        database_faulty=rng.choice((0.0, 0.0, 0.02)),
        storage_faulty=rng.choice((0.0, 0.0, 0.1)),
        deaths={rng.choice(LABELS): rng.randint(1, 3) for _ in range(rng.randrange(3))},
        deaths_at_steps=frozenset(rng.randrange(800) for _ in range(rng.randrange(3))),
        at_label={rng.choice(LABELS): rng.choice(SCRIPTED[:2])} if rng.random() < 0.2 else {},
        down_s=rng.choice((1.0, 5.0, 60.0)),
        webhooks=rng.random() < 0.5,
        accounts=rng.choice((1, 1, 1, 2)),
        outage=_outage(rng),
        rates=rng.random() < 0.3,
    )


def at_label(label: str, what: str, seed: int = 1) -> Plan:
    """One training and two generations; at the label the worker dies, or the scripted thing happens."""
    life: tuple[Action, ...] = (Action(0, "train"), Action(30, "generate"), Action(40, "generate"))
    if label.startswith("images."):
        life += (Action(50, "delete a picture"),)
    quick = Behaviour(training_s=(60, 120), version_lag_s=(0, 20))
    scripted = {"training.before_post": "much later"} if label.startswith("twins.") else {}
    if what != "kill":
        scripted[label] = what
    return Plan(
        seed,
        (life,),
        quick,
        deaths={label: 1} if what == "kill" else {},
        at_label=scripted,
        webhooks=label.startswith("webhooks."),
    )


def long_outage(seed: int) -> Plan:
    """Everything of ours is away for 45 minutes at some moment of an otherwise undisturbed life."""
    begin = random.Random(seed).uniform(5, 700)
    life = (Action(0, "train"), *(Action(after, "generate") for after in (60, 300, 600)))
    quick = Behaviour(training_s=(60, 200), version_lag_s=(0, 20))
    return Plan(seed, (life, life), quick, outage=(begin, begin + 45 * 60))


def _life(rng: random.Random) -> tuple[Action, ...]:
    actions = [Action(rng.uniform(0, 20), rng.choice(("train", "train", "double click", "two tabs")))]
    actions += [Action(rng.uniform(20, 900), "generate") for _ in range(rng.randrange(3))]
    extra = ("cancel training", "cancel generation", "train again", "retry", "roll back", "delete photos")
    extra += ("delete a picture",)
    actions += [Action(rng.uniform(1, 2_000), rng.choice(extra)) for _ in range(rng.choice((0, 0, 1, 2)))]
    return tuple(sorted(actions, key=lambda action: action.after))


def _behaviour(rng: random.Random) -> Behaviour:
    usual = Behaviour(
        training_s=(30.0, 240.0),
        list_lag_s=rng.choice(((0.0, 0.0), (0.0, 20.0))),
        version_lag_s=rng.choice(((0.0, 5.0), (0.0, 240.0))),
    )
    if rng.random() > 0.4:
        return usual
    return replace(
        usual,
        fails=0.15,
        cancels=0.05,
        never_ends=0.05,
        test_never_ends=0.05,
        flags=0.2,
        weights_gone=0.2,
        odd_output=0.15,
        no_version=0.15,
        unknown_status=0.1,
    )


def _outage(rng: random.Random) -> tuple[float, float] | None:
    if rng.random() > 0.1:
        return None
    begin = rng.uniform(10, 1_000)
    return begin, begin + 45 * 60
