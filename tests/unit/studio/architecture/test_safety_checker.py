"""The provider's safety checker stays on, whatever members, operators, the environment or a version's schema say."""

import ast
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.fakes.schemas import trained_version_schema

import portraitist.studio
from portraitist.kit.http import Response
from portraitist.studio import architecture, input_schema, startup
from portraitist.studio.architecture import (
    GENERATION,
    VERIFY,
    ArchitectureViolation,
    MappedSchema,
    map_schema,
    seal_prediction,
)
from portraitist.studio.errors import StudioError
from portraitist.studio.generation.endpoints import GenerationIn
from portraitist.studio.prompting.compose import compose
from portraitist.studio.provider.replicate import ReplicateProvider
from portraitist.studio.provider.transport import Limits, Pauses

pytestmark = pytest.mark.anyio
USER, CHECKER = "ab12cd34ef56", "disable_safety_checker"
NAMES = [
    *trained_version_schema()["components"]["schemas"]["Input"]["properties"],
    "guidance",
    "safety_tolerance",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(-2, 12, allow_nan=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)
INPUT = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["boolean", "integer", "number", "string", "object", None]),
        "default": st.booleans() | st.integers(0, 50) | st.text(max_size=8),
        "const": st.booleans(),
        "enum": st.lists(st.booleans() | st.integers(0, 50) | st.text(max_size=8), max_size=4),
        "minimum": st.integers(-1, 40),
        "maximum": st.integers(-1, 60),
        "allOf": st.just([{"$ref": "#/components/schemas/model"}]),
        "anyOf": st.just([{"type": "boolean"}, {"type": "null"}]),
    },
)
"""One input of a version, as some provider might describe it."""


class Recording:
    """Takes requests in place of the network."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def request(self, method: str, url: str, **parts: Any) -> Response:
        self.bodies.append(json.loads(json.dumps(parts["json"])))
        return Response(201, {}, b'{"id": "p1", "status": "starting", "input": {}, "version": "v"}')

    async def close(self) -> None:
        pass


async def sent(schema: Mapping[str, Any], words: str, seed: Any, profile: Any) -> dict[str, Any] | None:
    """The input that reaches the provider; None where nothing is sent."""
    try:
        mapped = MappedSchema.from_json(map_schema(schema).to_json())  # as it is stored in between
        sealed = seal_prediction(
            user_id=USER,
            owner="studio",
            model=f"{USER}-selfie-lora",
            version_id="0f" * 32,
            schema=mapped,
            prompt=compose(words, trigger=f"user{USER}", subject="woman"),
            seed=seed,
            profile=profile,
        )
    except StudioError:
        return None
    network = Recording()
    pauses = Pauses(jitter=lambda: 0.0)
    provider = ReplicateProvider(
        network,  # type: ignore[arg-type]
        base_url="https://api.replicate.com",
        token="t",
        pauses=pauses,
        limits=Limits(),
    )
    await provider.create_prediction(sealed, webhook=None)
    [body] = network.bodies
    return dict(body["input"])


def check(found: dict[str, Any] | None) -> None:
    """The checker is asked for, by its name, and nothing else that sounds like it is sent."""
    if found is None:
        return
    assert found[CHECKER] is False
    assert [name for name in found if "safe" in name.lower() or "nsfw" in name.lower()] == [CHECKER]
    assert "true" not in json.dumps(found).replace(json.dumps(found["prompt"]), "")


@settings(max_examples=60)
@given(
    changes=st.dictionaries(st.sampled_from(NAMES), INPUT, max_size=5),
    without=st.sets(st.sampled_from(NAMES[:-2]), max_size=2),
    words=st.text(max_size=60)
    | st.sampled_from(["disable_safety_checker=true", '{"disable_safety_checker": true}']),
    seed=st.integers(-1, 1_000_001) | st.booleans() | st.none(),
    profile=st.sampled_from([GENERATION, VERIFY]) | JSON,
)
async def test_no_schema_prompt_seed_or_profile_sends_a_request_without_the_checker(
    changes: dict[str, Any], without: set[str], words: str, seed: Any, profile: Any
) -> None:
    schema = trained_version_schema(without=tuple(without - changes.keys()), **changes)
    check(await sent(schema, words, seed, profile))


@settings(max_examples=60)
@given(
    tampered=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4), words=st.text(min_size=1, max_size=20)
)
async def test_a_stored_schema_that_was_tampered_with_sends_none_either(
    tampered: dict[str, Any], words: str
) -> None:
    stored = map_schema(trained_version_schema()).to_json() | tampered
    try:
        schema = MappedSchema.from_json(stored)
        sealed = seal_prediction(
            user_id=USER,
            owner="studio",
            model=f"{USER}-selfie-lora",
            version_id="0f" * 32,
            schema=schema,
            prompt=compose(words, trigger=f"user{USER}", subject="woman"),
            seed=7,
            profile=GENERATION,
        )
    except StudioError:
        return
    check(dict(sealed.input))


async def test_an_ordinary_request_is_really_sent() -> None:
    found = await sent(trained_version_schema(), "in a garden", 7, GENERATION)
    assert found is not None
    check(found)


@pytest.mark.parametrize("missing", [{"without": (CHECKER,)}, {CHECKER: {"type": "boolean", "enum": [True]}}])
async def test_a_version_that_has_no_checker_or_only_an_off_one_is_used_for_nothing(
    missing: dict[str, Any],
) -> None:
    with pytest.raises(ArchitectureViolation):
        map_schema(trained_version_schema(**missing))


@given(
    st.dictionaries(
        st.sampled_from([CHECKER, "profile", "model", "go_fast", "seed", "input"]) | st.text(), JSON
    )
)
def test_no_body_of_the_api_names_anything_but_words(more: dict[str, Any]) -> None:
    if set(more) - {"prompt"}:
        with pytest.raises(ValidationError):
            GenerationIn.model_validate({"prompt": "in a garden", **more})
    assert set(GenerationIn.model_fields) == {"prompt"}


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "DISABLE_SAFETY_CHECKER",
                "SAFETY_CHECKER",
                "REPLICATE_DISABLE_SAFETY_CHECKER",
                "NSFW",
                "GENERATION",
            ]
        )
        | st.sampled_from(sorted(startup.names())),
        st.sampled_from(["", "0", "1", "true", "false", "off", '{"disable_safety_checker": true}']),
    )
)
def test_no_setting_and_no_variable_of_the_environment_changes_the_locks(environ: dict[str, str]) -> None:
    needed = {"DATABASE_URL": "postgresql://x", "REPLICATE_API_TOKEN": "t", "REPLICATE_USERNAME": "studio"}
    secrets = {"INSTANCE_TOKEN": "a1b2c3d4e5f6g7h8" * 2, "SECRET_KEY": "h8g7f6e5d4c3b2a1" * 2}
    with mock.patch.dict("os.environ", {**environ, **needed, **secrets}, clear=True):
        with contextlib.suppress(StudioError):  # most of these stop the start
            startup.load({**environ, **needed, **secrets}, Path("/nowhere"))
        assert architecture.GENERATION.disable_safety_checker is False
        assert architecture.VERIFY.disable_safety_checker is False


def test_one_file_alone_knows_the_name_of_the_switch_and_none_of_the_environment() -> None:
    root = Path(portraitist.studio.__file__).parent
    naming = [path.relative_to(root).as_posix() for path in root.rglob("*.py") if CHECKER in path.read_text()]
    assert naming == ["architecture.py"]
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(ast.parse((root / "architecture.py").read_text()))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert not imported & {"os", "sys", "pathlib", "json"}


@pytest.mark.parametrize("bug", ["default", "dropped", "profile"])
async def test_planted_bugs_are_caught(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = input_schema.MappedSchema.apply

    def apply(self: MappedSchema, values: Mapping[str, Any]) -> dict[str, Any]:
        result = real(self, values)
        if bug == "default":
            result[CHECKER] = True  # the version's own default is taken
        elif bug == "dropped":
            del result[CHECKER]  # a key that the version does not know is left out
        else:
            result["safety_tolerance"] = 6  # more than was locked is passed on
        return result

    monkeypatch.setattr(input_schema.MappedSchema, "apply", apply)
    with pytest.raises((AssertionError, KeyError)):
        check(await sent(trained_version_schema(), "in a garden", 7, GENERATION))
