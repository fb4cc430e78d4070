"""The locks of the product: names, trainer, hyperparameters, generation parameters, and what may be sent.

Pure, and their only home. A provider takes nothing but what `seal_training` and `seal_prediction` have sealed
here, so "the member's own complete model, with the locked parameters, or nothing" is a type and not a habit.
How a version's own input schema is read lives in `input_schema`; HTTP lives in `provider`.
"""

import re
from collections.abc import Mapping
from dataclasses import InitVar, asdict, dataclass
from types import MappingProxyType
from typing import Final, NoReturn, final
from urllib.parse import urlsplit

from portraitist.studio.input_schema import (
    ArchitectureViolation,
    MappedSchema,
    Value,
    names_of,
    read_input_schema,
)

__all__ = [
    "GENERATION",
    "HYPERPARAMETERS",
    "SEEDS",
    "TRAINER",
    "TRAINER_VERSION",
    "VERIFY",
    "ArchitectureViolation",
    "LockedParameters",
    "MappedSchema",
    "ValidatedPrediction",
    "ValidatedTraining",
    "destination",
    "map_schema",
    "model_name",
    "seal_prediction",
    "seal_training",
    "trigger_pattern",
    "trigger_word",
]

TRAINER_VERSION: Final = "26dce37af90b9d997eeb970d92e47de3064d46c300504ae376c75bef6a9022d2"
TRAINER: Final = f"ostris/flux-dev-lora-trainer:{TRAINER_VERSION}"
"""The pinned trainer, `owner/name:version`."""

HYPERPARAMETERS: Final[Mapping[str, Value]] = MappingProxyType(
    {
        "steps": 1000,
        "learning_rate": 0.0004,
        "batch_size": 1,
        "lora_rank": 16,
        "resolution": "512,768,1024",
        "optimizer": "adamw8bit",
        "autocaption": True,
        "caption_dropout_rate": 0.05,
        "cache_latents_to_disk": False,
        "gradient_checkpointing": False,
    }
)
"""Every setting of a training, stated even where it is the trainer's default: defaults of others move."""

SEEDS: Final = range(1_000_000)
"""Seeds a generation may have."""

_USER_ID = re.compile(r"[a-z0-9]{12}")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_VERSION_ID = re.compile(r"[0-9a-f]{64}")
_WEIGHTS_KEY = re.compile(r"weights|extra_lora|hf_lora", re.IGNORECASE)
_BREAKING = re.compile(r"[\s\\\x00-\x1f\x7f]")  # what lets two parsers see two addresses
_SEAL = object()


@dataclass(frozen=True)
class LockedParameters:
    """The generation parameters no member, look or stylist can change."""

    guidance: float
    num_inference_steps: int
    lora_scale: float
    num_outputs: int
    aspect_ratio: str
    output_format: str
    output_quality: int
    go_fast: bool
    disable_safety_checker: bool


GENERATION: Final = LockedParameters(
    guidance=2.8,
    num_inference_steps=40,
    lora_scale=0.95,
    num_outputs=3,
    aspect_ratio="3:4",
    output_format="png",
    output_quality=95,
    go_fast=False,
    disable_safety_checker=False,
)
"""Every picture a member sees."""

VERIFY: Final = LockedParameters(**{**asdict(GENERATION), "num_outputs": 1})
"""The test picture a new version must render before it is promoted: GENERATION with one output."""


def trigger_word(user_id: str) -> str:
    """The word for this member in captions and prompts, for ever. Raises ArchitectureViolation."""
    return f"user{_checked_user_id(user_id)}"


def model_name(user_id: str) -> str:
    """The name of the member's one model at every provider. Raises ArchitectureViolation."""
    return f"{_checked_user_id(user_id)}-selfie-lora"


def destination(owner: str, user_id: str) -> str:
    """`owner/name` of the member's model in the provider account `owner`. Raises ArchitectureViolation."""
    if not _OWNER.fullmatch(owner):
        _violated("owner", f"{owner!r} is not the name of a provider account; set REPLICATE_USERNAME.")
    return f"{owner}/{model_name(user_id)}"


def trigger_pattern(trigger: str) -> re.Pattern[str]:
    """Finds a trigger word in any spelling of upper and lower case, inside other words too."""
    return re.compile(re.escape(trigger), re.IGNORECASE)


def map_schema(openapi_schema: Mapping[str, object]) -> MappedSchema:
    """Map what a generation sends onto the input keys of one version, from the version's OpenAPI schema.

    Raises ArchitectureViolation, naming the parameter, when the version does not know one of them or takes
    other values than the locked ones: providers drop unknown keys in silence, so it must be found here.
    """
    mapped = read_input_schema(openapi_schema, ("prompt", "seed", *asdict(GENERATION)))
    for profile in (GENERATION, VERIFY):
        for seed in (SEEDS[0], SEEDS[-1]):
            mapped.apply({"prompt": "a portrait", "seed": seed, **asdict(profile)})
    return mapped


@final
@dataclass(frozen=True)
class ValidatedTraining:
    """A training that may be started. Made by `seal_training` only."""

    user_id: str
    destination: str
    trainer: str
    input: Mapping[str, Value]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _require_seal(seal)


@final
@dataclass(frozen=True)
class ValidatedPrediction:
    """A prediction that may be started. Made by `seal_prediction` only.

    `version` is `owner/name:64hex`; `input` has the version's own keys.
    """

    user_id: str
    version: str
    input: Mapping[str, Value]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _require_seal(seal)


def seal_training(user_id: str, owner: str, images_url: str) -> ValidatedTraining:
    """The one training there is for a member: pinned trainer, own destination, own trigger word.

    `images_url` is where the provider gets the zip. Raises ArchitectureViolation.
    """
    _check_address(images_url)
    values = {**HYPERPARAMETERS, "trigger_word": trigger_word(user_id), "input_images": images_url}
    return ValidatedTraining(
        user_id, destination(owner, user_id), TRAINER, MappingProxyType(values), seal=_SEAL
    )


def seal_prediction(
    *,
    user_id: str,
    owner: str,
    model: str,
    version_id: str,
    schema: MappedSchema,
    prompt: str,
    seed: int,
    profile: LockedParameters,
) -> ValidatedPrediction:
    """A prediction of the member's own version with locked parameters. Raises ArchitectureViolation.

    `owner`, `model` and `version_id` are those of the stored version; `model` is the name without its owner.
    """
    _check_version(user_id, owner, model, version_id)
    _check_prompt(user_id, prompt)
    if profile is not GENERATION and profile is not VERIFY:  # equal is not enough: 3.0 equals 3
        _violated("profile", "Pictures are made with the locked parameters only.")
    if type(seed) is not int or seed not in SEEDS:
        _violated("seed", f"A seed is a whole number between {SEEDS[0]} and {SEEDS[-1]}.")
    values = schema.apply({"prompt": prompt, "seed": seed, **asdict(profile)})
    _check_keys(schema, values)
    return ValidatedPrediction(user_id, f"{owner}/{model}:{version_id}", MappingProxyType(values), seal=_SEAL)


def _check_version(user_id: str, owner: str, model: str, version_id: str) -> None:
    if f"{owner}/{model}" != destination(owner, user_id):
        _violated("foreign_model", "Pictures are made with the member's own model only.")
    if not _VERSION_ID.fullmatch(version_id):
        _violated("version", "The member's model has no version yet; it must finish training first.")
    if version_id == TRAINER_VERSION:
        _violated("version", "The trainer's version was taken for the trained one.")


def _check_prompt(user_id: str, prompt: str) -> None:
    trigger = trigger_word(user_id)
    if "\0" in prompt:
        _violated("prompt", "A prompt is text.")
    if not prompt.startswith(f"{trigger} ") or len(trigger_pattern(trigger).findall(prompt)) != 1:
        _violated("prompt", "A prompt begins with the member's trigger word and has it once.")


def _check_keys(schema: MappedSchema, values: Mapping[str, Value]) -> None:
    """Every parameter has a key of its own, which is one of its own names."""
    if named := [key for key in values if _WEIGHTS_KEY.search(key)]:
        _violated("weights", f"Weights are never named in a request ({named[0]}).")
    for name in ("prompt", "seed", *asdict(GENERATION)):
        key = schema.fields[name].key
        if key not in names_of(name):
            _violated("foreign_key", f"The version's mapping sends {name} as {key}.")


def _check_address(images_url: str) -> None:
    try:
        url = urlsplit(images_url)
        usable = url.scheme in {"https", "http"} and bool(url.hostname) and "@" not in url.netloc
    except ValueError:
        usable = False
    if not usable or _BREAKING.search(images_url):
        _violated("images_url", "A training needs the http(s) address of the member's own photos.")


def _checked_user_id(user_id: str) -> str:
    if not _USER_ID.fullmatch(user_id):
        _violated("user_id", "A member's id is 12 lower-case letters and digits.")
    return user_id


def _require_seal(seal: object) -> None:
    if seal is not _SEAL:
        _violated("unsealed", "Requests to a provider are made by seal_training and seal_prediction only.")


def _violated(code: str, message: str) -> NoReturn:
    raise ArchitectureViolation(code, message)
