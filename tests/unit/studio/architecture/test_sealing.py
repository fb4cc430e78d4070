"""Nothing but the member's own version with the locked parameters can be sealed."""

import copy
from dataclasses import FrozenInstanceError, asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.schemas import trained_version_schema

from portraitist.studio.architecture import (
    GENERATION,
    HYPERPARAMETERS,
    SEEDS,
    TRAINER,
    TRAINER_VERSION,
    VERIFY,
    ArchitectureViolation,
    MappedSchema,
    ValidatedPrediction,
    ValidatedTraining,
    destination,
    map_schema,
    model_name,
    seal_prediction,
    seal_training,
    trigger_word,
)

USER = "ab12cd34ef56"
OTHER = "zz99yy88xx77"
HASH = "0f" * 32


def sealed(**changes: object) -> ValidatedPrediction:
    arguments: dict[str, object] = {
        "user_id": USER,
        "owner": "studio",
        "model": f"{USER}-selfie-lora",
        "version_id": HASH,
        "schema": map_schema(trained_version_schema()),
        "prompt": f"user{USER} person in a garden",
        "seed": 7,
        "profile": GENERATION,
    }
    return seal_prediction(**(arguments | changes))  # type: ignore[arg-type]


def code_of(**changes: object) -> str:
    with pytest.raises(ArchitectureViolation) as caught:
        sealed(**changes)
    return caught.value.code


def test_names_carry_the_whole_user_id() -> None:
    assert trigger_word(USER) == "userab12cd34ef56"
    assert model_name(USER) == "ab12cd34ef56-selfie-lora"
    assert destination("studio", USER) == "studio/ab12cd34ef56-selfie-lora"


@pytest.mark.parametrize(
    "user_id", ["", "short", "AB12CD34EF56", "ab12cd34ef5-", "ab12cd34ef567", "null", f"{USER}\n"]
)
def test_only_twelve_lower_case_alphanumerics_are_a_user_id(user_id: str) -> None:
    with pytest.raises(ArchitectureViolation, match="12 lower-case"):
        trigger_word(user_id)


@pytest.mark.parametrize("owner", ["", "a/b", "studio\n", "-studio", "stu dio"])
def test_a_destination_needs_an_account(owner: str) -> None:
    with pytest.raises(ArchitectureViolation, match="REPLICATE_USERNAME"):
        destination(owner, USER)


def test_a_prediction_has_exactly_the_locked_parameters_under_the_versions_keys() -> None:
    prediction = sealed()
    assert prediction.version == f"studio/{USER}-selfie-lora:{HASH}"
    assert dict(prediction.input) == {
        "prompt": f"user{USER} person in a garden",
        "seed": 7,
        "guidance_scale": 2.8,
        "num_inference_steps": 40,
        "lora_scale": 0.95,
        "num_outputs": 3,
        "aspect_ratio": "3:4",
        "output_format": "png",
        "output_quality": 95,
        "go_fast": False,
        "disable_safety_checker": False,
    }


def test_verification_differs_from_generation_by_one_output_only() -> None:
    assert asdict(VERIFY) == {**asdict(GENERATION), "num_outputs": 1}
    assert sealed(profile=VERIFY).input["num_outputs"] == 1


def test_a_training_has_the_pinned_trainer_and_every_hyperparameter() -> None:
    training = seal_training(USER, "studio", "https://studio.example/zip")
    assert training.trainer == TRAINER == f"ostris/flux-dev-lora-trainer:{TRAINER_VERSION}"
    assert training.destination == f"studio/{USER}-selfie-lora"
    assert dict(training.input) == {
        **HYPERPARAMETERS,
        "trigger_word": f"user{USER}",
        "input_images": "https://studio.example/zip",
    }
    assert (HYPERPARAMETERS["steps"], HYPERPARAMETERS["lora_rank"]) == (1000, 16)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/etc/passwd",
        "file:///photos.zip",
        "data:application/zip;base64,AA",
        "https://",
        "https://[",
        "https://studio.example@evil.example/zip",
        "https://studio.example\\@evil.example/zip",
        "https://studio.example/z ip",
        "https://studio.example/zip\r\nx: y",
    ],
)
def test_a_training_needs_an_address_of_photos(address: str) -> None:
    with pytest.raises(ArchitectureViolation):
        seal_training(USER, "studio", address)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model": f"{OTHER}-selfie-lora"}, "foreign_model"),
        ({"model": "flux-dev"}, "foreign_model"),
        ({"model": f"studio/{USER}-selfie-lora"}, "foreign_model"),
        ({"user_id": OTHER}, "foreign_model"),
        ({"model": "null", "version_id": "null"}, "foreign_model"),
        ({"version_id": "null"}, "version"),
        ({"version_id": ""}, "version"),
        ({"version_id": HASH[:-1]}, "version"),
        ({"version_id": f"{HASH}\n"}, "version"),
        ({"version_id": "latest"}, "version"),
        ({"version_id": TRAINER_VERSION}, "version"),
        ({"prompt": "person in a garden"}, "prompt"),
        ({"prompt": f"a photo of user{USER}"}, "prompt"),
        ({"prompt": f"user{USER} and user{USER}"}, "prompt"),
        ({"prompt": f"user{USER} and xUSER{USER.upper()}x"}, "prompt"),
        ({"prompt": f"user{USER}"}, "prompt"),
        ({"seed": -1}, "seed"),
        ({"seed": 1_000_000}, "seed"),
        ({"seed": True}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": 7.0}, "seed"),
        ({"seed": "7"}, "seed"),
        ({"prompt": f"user{USER} person\0"}, "prompt"),
        ({"profile": replace(GENERATION)}, "profile"),
        ({"profile": replace(GENERATION, go_fast=0)}, "profile"),
        ({"profile": replace(VERIFY, num_outputs=True)}, "profile"),
        ({"profile": replace(GENERATION, guidance=0.9)}, "profile"),
        ({"profile": replace(GENERATION, disable_safety_checker=True)}, "profile"),
        ({"schema": MappedSchema({})}, "unknown_parameter"),
    ],
)
def test_what_is_not_the_members_own_locked_generation_is_refused(
    changes: dict[str, object], code: str
) -> None:
    assert code_of(**changes) == code


def test_an_input_key_that_names_weights_is_refused_even_from_a_tampered_mapping() -> None:
    schema = map_schema(trained_version_schema())
    tampered = {**schema.fields, "prompt": replace(schema.fields["prompt"], key="replicate_weights")}
    assert code_of(schema=MappedSchema(tampered)) == "weights"


@pytest.mark.parametrize(
    ("name", "key"), [("prompt", "image"), ("seed", "prompt_strength"), ("guidance", "prompt")]
)
def test_a_tampered_mapping_sends_nothing_under_another_key(name: str, key: str) -> None:
    schema = map_schema(trained_version_schema())
    tampered = {**schema.fields, name: replace(schema.fields[name], key=key)}
    assert code_of(schema=MappedSchema(tampered)) in {"foreign_key", "locked_value"}


def test_sealed_requests_cannot_be_made_or_altered_by_hand() -> None:
    prediction = sealed()
    with pytest.raises(ArchitectureViolation, match="seal_"):
        ValidatedPrediction(USER, "null:null", {}, seal=None)
    with pytest.raises(ArchitectureViolation, match="seal_"):
        ValidatedTraining(USER, "studio/x", TRAINER, {}, seal=object())
    with pytest.raises(ValueError, match="seal"):
        replace(prediction, version="studio/other:1")  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        prediction.version = "studio/other:1"  # type: ignore[misc]
    with pytest.raises(TypeError):
        prediction.input["seed"] = 1  # type: ignore[index]
    assert copy.copy(prediction) == prediction


@given(st.text(), st.text(), st.text())
def test_whatever_is_stored_only_own_versions_are_sealed(owner: str, model: str, version_id: str) -> None:
    try:
        prediction = sealed(owner=owner, model=model, version_id=version_id)
    except ArchitectureViolation:
        return
    assert prediction.version == f"{destination(owner, USER)}:{version_id}"


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.just(HASH)
    | st.just(TRAINER_VERSION)
)


@given(
    st.dictionaries(
        st.sampled_from(["model", "version_id", "prompt", "seed", "profile", "user_id", "owner"]), ANYTHING
    )
)
def test_whatever_a_builder_is_given_a_sealed_request_is_the_members_own_with_the_locked_parameters(
    changes: dict[str, object],
) -> None:
    try:
        prediction = sealed(**changes)
    except (ArchitectureViolation, TypeError):
        return  # a wrong type is a bug of the caller; nothing is sent
    assert prediction.version.split("/")[1].startswith(f"{USER}-selfie-lora:")
    assert "null" not in prediction.version
    assert dict(prediction.input) | {"prompt": "", "seed": 0} == dict(sealed().input) | {
        "prompt": "",
        "seed": 0,
    }


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=60))
def test_whatever_a_training_is_given_it_is_the_members_own_with_the_pinned_trainer(
    user_id: str, owner: str, address: str
) -> None:
    try:
        training = seal_training(user_id, owner, address)
    except ArchitectureViolation:
        return
    assert training.destination == f"{owner}/{user_id}-selfie-lora"
    assert (training.trainer, training.input["trigger_word"]) == (TRAINER, f"user{user_id}")
    assert set(training.input) == {*HYPERPARAMETERS, "trigger_word", "input_images"}


@given(st.sampled_from(SEEDS))
def test_every_seed_of_the_range_is_taken(seed: int) -> None:
    assert sealed(seed=seed).input["seed"] == seed
