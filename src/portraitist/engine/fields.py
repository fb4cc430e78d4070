"""The inputs of the pinned trainer and of a trained version: the two tables, and what is refused outright.

Pure data and its checks. Facts: Replicate's `ostris/flux-dev-lora-trainer` and the fine-tunes made by it.
Left out of a trained version, because the embedded model cannot do it: `image`, `mask` and
`prompt_strength` (refused, not dropped: a picture without them would be another one), `width`, `height` and all aspect
ratios but the ones it draws well. Weights are never an input: a request names a version and nothing else.
"""

import re
from collections.abc import Mapping
from typing import Any

from portraitist.engine.errors import InvalidField
from portraitist.engine.schema import Checked, Field, check, document

TRAINER_OWNER = "ostris"
TRAINER_NAME = "flux-dev-lora-trainer"
TRAINER_VERSION = "26dce37af90b9d997eeb970d92e47de3064d46c300504ae376c75bef6a9022d2"
COG_VERSION = "0.16.9"
SAFETY_CHECKER = "none (embedded)"

ASPECT_RATIOS = ("3:4",)
"""What the embedded model draws well: the keys of `tiny.sampler.sizes`, here without importing torch."""
OPTIMIZERS = (
    "prodigy",
    "adam8bit",
    "adamw8bit",
    "lion8bit",
    "adam",
    "adamw",
    "lion",
    "adagrad",
    "adafactor",
)

DEFAULT_STEPS = 1000

TRAINER_FIELDS: tuple[Field, ...] = (
    Field(
        "input_images", "uri", "A zip file of the photos, with optional captions (name.txt beside name.jpg)."
    ),
    Field("trigger_word", "string", "The word that names the person in prompts.", "TOK"),
    Field("autocaption", "boolean", "Caption the photos that have no caption.", True),
    Field("autocaption_prefix", "string", "Text put before each automatic caption."),
    Field("autocaption_suffix", "string", "Text put after each automatic caption."),
    Field("steps", "integer", "Training steps asked for; the engine may fit fewer.", DEFAULT_STEPS, 3, 6000),
    Field("learning_rate", "number", "Learning rate.", 0.0004, 0),
    Field("batch_size", "integer", "Batch size.", 1, 1),
    Field("resolution", "string", "Image resolutions for training.", "512,768,1024"),
    Field("lora_rank", "integer", "LoRA rank.", 16, 1, 128),
    Field("caption_dropout_rate", "number", "How often a caption is left out.", 0.05, 0, 1),
    Field("optimizer", "string", "Optimizer.", "adamw8bit", choices=OPTIMIZERS),
    Field("cache_latents_to_disk", "boolean", "Keep latents on disk.", False),
    Field("layers_to_optimize_regex", "string", "Train only layers that match."),
    Field("gradient_checkpointing", "boolean", "Trade time for memory.", False),
    Field("hf_repo_id", "string", "Hugging Face repository to upload to (not supported here)."),
    Field("hf_token", "secret", "Hugging Face token (not supported here)."),
    Field("wandb_api_key", "secret", "Weights & Biases key (not supported here)."),
    Field("wandb_project", "string", "Weights & Biases project.", "flux_train_replicate"),
    Field("wandb_run", "string", "Weights & Biases run."),
    Field("wandb_entity", "string", "Weights & Biases entity."),
    Field("wandb_sample_interval", "integer", "Steps between samples.", 100, 1),
    Field("wandb_sample_prompts", "string", "Prompts for samples."),
    Field("wandb_save_interval", "integer", "Steps between saves.", 100, 1),
    Field("skip_training_and_use_pretrained_hf_lora_url", "string", "Not supported here."),
)

PREDICTION_FIELDS: tuple[Field, ...] = (
    Field("prompt", "string", "What to draw; put the trigger word first.", required=True),
    Field("aspect_ratio", "string", "Shape of the pictures.", ASPECT_RATIOS[0], choices=ASPECT_RATIOS),
    Field("model", "string", "Which base to run; one exists.", "dev", choices=("dev",)),
    Field("num_outputs", "integer", "Number of pictures.", 1, 1, 4),
    Field("num_inference_steps", "integer", "Denoising steps.", 28, 1, 50),
    Field("guidance_scale", "number", "How closely to follow the prompt.", 3, 0, 10),
    Field("seed", "integer", "Random seed, for a picture that can be made again."),
    Field("output_format", "string", "File format.", "webp", choices=("webp", "jpg", "png")),
    Field("output_quality", "integer", "Quality of webp and jpg; png ignores it.", 80, 0, 100),
    Field("disable_safety_checker", "boolean", "Must stay false: this engine has no checker.", False),
    Field("go_fast", "boolean", "Accepted, without effect here.", False),
    Field("megapixels", "string", "Accepted, without effect here.", "1", choices=("1", "0.25")),
    Field("lora_scale", "number", "How strongly the trained weights differ from the base.", 1, -1, 3),
)

UNSUPPORTED_TRAINING = ("hf_repo_id", "hf_token", "skip_training_and_use_pretrained_hf_lora_url")
"""Wishes that a training without them would silently betray: refused."""

MAX_PROMPT = 10_000
_TRIGGER = re.compile(r"\w{1,64}", re.ASCII)
_WEIGHTS = re.compile(r"weights|lora", re.IGNORECASE)
_PICTURES = ("image", "mask", "prompt_strength")
_ADDRESS = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*://|data:|[./~\\]|[a-z]:\\)", re.IGNORECASE)


def check_training(given: Mapping[str, Any]) -> Checked:
    """The trainer's `input`, judged. A missing zip is no error here: the cloud says it asynchronously."""
    checked = check(TRAINER_FIELDS, given)
    refused = tuple(
        InvalidField("not_supported", f"input.{name}", "This engine does not support it.")
        for name in UNSUPPORTED_TRAINING
        if given.get(name)
    )
    if not _TRIGGER.fullmatch(str(checked.effective["trigger_word"])):
        text = "This engine takes one word of up to 64 letters, digits and underscores."
        refused += (InvalidField("format", "input.trigger_word", text),)
    return Checked(checked.given, checked.effective, checked.dropped, checked.problems + refused)


def check_prediction(given: Mapping[str, Any]) -> Checked:
    """A trained version's `input`, judged; weights, pictures and addresses are refused, not dropped."""
    checked = check(PREDICTION_FIELDS, given)
    refused = [p for key, value in given.items() if (p := _refusal(key, value)) is not None]
    if len(str(given.get("prompt", ""))) > MAX_PROMPT:
        refused.append(InvalidField("string_lte", "input.prompt", f"At most {MAX_PROMPT} characters"))
    return Checked(checked.given, checked.effective, checked.dropped, (*checked.problems, *refused))


def _refusal(key: str, value: object) -> InvalidField | None:
    where = f"input.{key}"
    if key != "lora_scale" and _WEIGHTS.search(key):
        return InvalidField(
            "not_permitted", where, "Weights cannot be named at request time, only a version."
        )
    if key in _PICTURES:
        return InvalidField("not_supported", where, "This engine does not take pictures as input.")
    if key == "disable_safety_checker" and value is True:
        text = "This engine has no safety checker, so there is none to disable. Leave it false."
        return InvalidField("not_permitted", where, text)
    if key != "prompt" and isinstance(value, str) and _ADDRESS.match(value):
        return InvalidField("not_permitted", where, "Addresses and paths are not accepted.")
    return None


def trainer_schema() -> dict[str, Any]:
    """The trainer's `openapi_schema`."""
    output = {
        "type": "object",
        "title": "Output",
        "properties": {"weights": {"type": "string", "title": "Weights", "format": "uri"}},
        "required": ["weights"],
    }
    return document(TRAINER_FIELDS, output, training=True, info={})


def prediction_schema() -> dict[str, Any]:
    """A trained version's `openapi_schema`; its `info` says that pictures are not checked."""
    output = {"type": "array", "title": "Output", "items": {"type": "string", "format": "uri"}}
    info = {"x-safety-checker": SAFETY_CHECKER}
    return document(PREDICTION_FIELDS, output, training=False, info=info)
