"""What a training and a prediction may ask for, and how refusals read."""

import pytest

from portraitist.engine import fields
from portraitist.engine.fields import check_prediction, check_training
from portraitist.engine.schema import Checked


def refused(checked: Checked) -> dict[str, str]:
    return {problem.field: problem.type for problem in checked.problems}


def test_defaults_fill_what_a_training_leaves_out() -> None:
    checked = check_training({"input_images": "https://example.org/a.zip", "steps": 500})
    assert not checked.problems
    assert checked.effective["steps"] == 500
    assert checked.effective["learning_rate"] == 0.0004
    assert checked.effective["resolution"] == "512,768,1024"


def test_unknown_keys_are_dropped_and_named() -> None:
    checked = check_training({"max_train_steps": 9, "trigger": "x"})
    assert checked.dropped == ("max_train_steps", "trigger")
    assert not checked.problems


@pytest.mark.parametrize(
    ("given", "field", "kind"),
    [
        ({"steps": 2}, "input.steps", "number_gte"),
        ({"steps": 6001}, "input.steps", "number_lte"),
        ({"steps": "many"}, "input.steps", "invalid_type"),
        ({"steps": True}, "input.steps", "invalid_type"),
        ({"optimizer": "sgd"}, "input.optimizer", "enum"),
        ({"caption_dropout_rate": 1.5}, "input.caption_dropout_rate", "number_lte"),
        ({"input_images": "photos.zip"}, "input.input_images", "format"),
        ({"trigger_word": "two words"}, "input.trigger_word", "format"),
        ({"hf_repo_id": "me/mine"}, "input.hf_repo_id", "not_supported"),
    ],
)
def test_bad_training_values_are_refused(given: dict[str, object], field: str, kind: str) -> None:
    assert refused(check_training(given)) == {field: kind}


@pytest.mark.parametrize(
    ("given", "field", "kind"),
    [
        ({"num_outputs": 5}, "input.num_outputs", "number_lte"),
        ({"guidance_scale": -0.1}, "input.guidance_scale", "number_gte"),
        ({"guidance_scale": float("nan")}, "input.guidance_scale", "number_gte"),
        ({"output_format": "gif"}, "input.output_format", "enum"),
        ({"aspect_ratio": "16:9"}, "input.aspect_ratio", "enum"),
        ({"megapixels": 1}, "input.megapixels", "invalid_type"),
        ({"image": "https://example.org/a.png"}, "input.image", "not_supported"),
        ({"disable_safety_checker": True}, "input.disable_safety_checker", "not_permitted"),
        ({"something": "https://example.org/x"}, "input.something", "not_permitted"),
        ({"something": "/etc/passwd"}, "input.something", "not_permitted"),
        ({"something": "../../base"}, "input.something", "not_permitted"),
    ],
)
def test_bad_prediction_values_are_refused(given: dict[str, object], field: str, kind: str) -> None:
    assert refused(check_prediction({"prompt": "x", **given})) == {field: kind}


@pytest.mark.parametrize(
    "key",
    [
        "lora_weights",
        "extra_lora",
        "extra_lora_scale",
        "hf_lora",
        "replicate_weights",
        "weights",
        "My_Weights",
    ],
)
def test_weights_can_never_be_named(key: str) -> None:
    assert refused(check_prediction({"prompt": "x", key: "anything"})) == {f"input.{key}": "not_permitted"}


def test_the_locked_parameters_of_a_studio_are_all_valid() -> None:
    locked = {
        "prompt": "userab person, a path like /this is fine in a prompt",
        "guidance_scale": 2.8,
        "num_inference_steps": 40,
        "lora_scale": 0.95,
        "num_outputs": 3,
        "aspect_ratio": "3:4",
        "output_format": "png",
        "output_quality": 95,
        "go_fast": False,
        "disable_safety_checker": False,
        "seed": 7,
    }
    checked = check_prediction(locked)
    assert not checked.problems
    assert not checked.dropped


def test_a_prompt_is_required() -> None:
    assert refused(check_prediction({})) == {"input": "required"}


def test_schemas_have_cogs_shape() -> None:
    schema = fields.prediction_schema()
    body = schema["components"]["schemas"]["Input"]
    assert body["required"] == ["prompt"]
    assert body["properties"]["aspect_ratio"]["allOf"] == [{"$ref": "#/components/schemas/aspect_ratio"}]
    assert schema["components"]["schemas"]["aspect_ratio"]["enum"] == ["3:4"]
    assert body["properties"]["guidance_scale"]["maximum"] == 10
    assert schema["info"]["x-safety-checker"] == "none (embedded)"
    trainer = fields.trainer_schema()["components"]["schemas"]
    assert trainer["TrainingInput"]["properties"]["steps"]["minimum"] == 3
    assert trainer["TrainingInput"]["properties"]["hf_token"]["x-cog-secret"] is True


def test_the_schema_offers_exactly_the_sizes_that_the_model_draws() -> None:
    from portraitist.engine.api.account import PICTURE_SIZE
    from portraitist.engine.tiny.sampler import sizes

    assert set(sizes) == set(fields.ASPECT_RATIOS)
    assert "x".join(map(str, sizes["3:4"])) == PICTURE_SIZE
