"""Our parameters meet a version's own input keys, or the version is not used."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.schemas import trained_version_schema

from portraitist.studio.architecture import ArchitectureViolation, MappedSchema, map_schema


def changed(name: str, schema: Any) -> dict[str, Any]:
    openapi = trained_version_schema()
    openapi["components"]["schemas"]["Input"]["properties"][name] = schema
    return openapi


def message_of(schema: dict[str, Any]) -> str:
    with pytest.raises(ArchitectureViolation) as caught:
        map_schema(schema)
    return caught.value.message


def test_guidance_becomes_guidance_scale_where_the_version_has_it() -> None:
    assert map_schema(trained_version_schema()).fields["guidance"].key == "guidance_scale"


def test_guidance_stays_guidance_where_the_version_has_only_that() -> None:
    schema = trained_version_schema(without=("guidance_scale",), guidance={"type": "number", "maximum": 10})
    assert map_schema(schema).fields["guidance"].key == "guidance"


def test_guidance_scale_wins_where_the_version_has_both() -> None:
    schema = trained_version_schema(guidance={"type": "number"})
    assert map_schema(schema).fields["guidance"].key == "guidance_scale"


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("guidance_scale", "guidance"),
        ("lora_scale", "lora_scale"),
        ("go_fast", "go_fast"),
        ("seed", "seed"),
        ("prompt", "prompt"),
    ],
)
def test_a_parameter_the_version_does_not_know_is_named(missing: str, named: str) -> None:
    message = message_of(trained_version_schema(without=(missing,)))
    assert f"parameter {named}." in message


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("num_inference_steps", {"type": "integer", "maximum": 28}),
        ("num_outputs", {"type": "integer", "minimum": 1, "maximum": 1}),
        ("lora_scale", {"type": "number", "minimum": 1}),
        ("lora_scale", {"type": "integer"}),
        ("go_fast", {"type": "string"}),
        ("output_quality", {"type": "boolean"}),
        ("aspect_ratio", {"type": "string", "enum": ["1:1", "16:9"]}),
        ("output_format", {"$ref": "#/components/schemas/model"}),
        ("seed", {"type": "integer", "maximum": 65535}),
    ],
)
def test_a_locked_value_the_version_does_not_take_is_named(name: str, schema: dict[str, Any]) -> None:
    assert f"does not take {name} = " in message_of(changed(name, schema))


def test_newer_schemas_with_any_of_and_plain_references_are_read() -> None:
    schema = trained_version_schema(
        seed={"anyOf": [{"type": "integer"}, {"type": "null"}]},
        aspect_ratio={"$ref": "#/components/schemas/aspect_ratio"},
    )
    mapped = map_schema(schema)
    assert mapped.fields["seed"].type == "integer"
    assert mapped.fields["aspect_ratio"].choices == ("1:1", "3:4", "9:16")


def test_an_input_the_version_requires_and_we_never_send_is_refused() -> None:
    schema = trained_version_schema()
    schema["components"]["schemas"]["Input"]["required"] = ["prompt", "image"]
    assert "asks for image" in message_of(schema)


def test_a_schema_that_refers_to_itself_ends_in_a_refusal_or_a_mapping_not_in_a_loop() -> None:
    schema = trained_version_schema(model={"$ref": "#/components/schemas/model"})
    schema["components"]["schemas"]["aspect_ratio"] = {
        "allOf": [{"$ref": "#/components/schemas/aspect_ratio"}]
    }
    assert map_schema(schema).fields["aspect_ratio"].choices is None


def test_a_mapping_survives_its_own_json() -> None:
    mapped = map_schema(trained_version_schema())
    assert MappedSchema.from_json(json.loads(json.dumps(mapped.to_json()))) == mapped


@pytest.mark.parametrize("key", ["replicate_weights", "extra_lora", "image", None, 3])
def test_a_stored_mapping_onto_a_foreign_key_is_refused(key: object) -> None:
    stored = map_schema(trained_version_schema()).to_json() | {"prompt": {"key": key}}
    with pytest.raises(ArchitectureViolation):
        MappedSchema.from_json(stored)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["openapi", "components"]), JSON_VALUES))
def test_any_answer_is_mapped_or_refused_with_our_own_error(schema: dict[str, Any]) -> None:
    with pytest.raises(ArchitectureViolation):
        map_schema(schema)


@given(
    st.sampled_from(sorted(trained_version_schema()["components"]["schemas"]["Input"]["properties"])),
    JSON_VALUES,
)
def test_any_single_input_schema_is_mapped_or_refused(name: str, value: Any) -> None:
    try:
        map_schema(changed(name, value))
    except ArchitectureViolation:
        return
