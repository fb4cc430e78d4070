"""How the API describes itself: every operation with its problems and with examples, in the OpenAPI document.

Routes name the codes of their own problems (`problems`); what any request may meet is added to all of them here.
Examples are put together from those of the single fields. Which errors there are is `codes`' to say.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from portraitist.studio.codes import CODES

PROBLEM = "application/problem+json"
TYPE = "urn:portraitist:"
ANY_REQUEST = ("request_invalid", "internal", "part_away", "database_away")
ANY_MEMBERS = ("not_signed_in", "too_many_requests", "scope_missing", "csrf_token_missing", "foreign_origin")
ANY_CHANGE = ("account_erasing", "account_held")
ANY_ADMINS = ("admins_only",)
ADMINS_TAGS = frozenset({"admin", "operator"})
METHODS = ("get", "put", "post", "patch", "delete")
BY_FORMAT = {
    "uuid": "3f0c2c1e-8a52-4a6e-9d3c-6f1f6f2b7a10",
    "date-time": "2026-11-21T15:04:05Z",
    "date": "2026-11-21",
}
Operation = dict[str, Any]
NO_EXAMPLE = "…"
"""Stands where a field has no example; a test finds it."""


class ProblemOut(BaseModel):
    """An error as RFC 9457 has it: a stable code, a sentence for people, and the next step."""

    type: str = Field(examples=[TYPE + "image_not_found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such picture."])
    code: str = Field(examples=["image_not_found"])
    next_step: str | None = Field(examples=["Look at your pictures."])
    request_id: str = Field(examples=["b5f4a1c0e6d94c8c9a53c6f0c0a7f1d2"])


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these codes."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        known = CODES[code]
        answer = by_status.setdefault(
            known.status,
            {"model": ProblemOut, "description": "", "content": {PROBLEM: {"examples": {}}}},
        )
        answer["content"][PROBLEM]["examples"][code] = {"value": _example_problem(code)}
        answer["description"] = f"{answer['description']} {known.means}".strip()
    return by_status


def file_of(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that answers with bytes of one of these media types."""
    return {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}}}


def install(app: FastAPI) -> None:
    """Have the app describe itself in full."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            complete(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # as FastAPI's documentation has it


def complete(document: dict[str, Any]) -> None:
    """Add to each operation what any request may meet, and examples of what goes in and out."""
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):  # the framework's own, which we never send
        schemas.pop(name, None)
    schemas["ProblemOut"] = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, operation in operations(document):
        _add_problems(operation, changes=not name.startswith("get "))
        for content in _bodies(operation):
            if "example" not in content and "examples" not in content:
                content["example"] = example(content.get("schema", {}), schemas)


def codes_of(operation: Operation) -> list[str]:
    """Every code that this operation is said to answer with."""
    return [
        code
        for answer in operation["responses"].values()
        for code in answer.get("content", {}).get(PROBLEM, {}).get("examples", {})
    ]


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    """Every operation as (`get /path`, its description)."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield f"{method} {path}", item[method]


def example(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value of this JSON schema, put together from the examples of its fields."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("example", "const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    for key in ("anyOf", "allOf", "oneOf"):
        if key in schema:
            return example(schema[key][0], schemas)
    return _example_of_type(schema, schemas)


def _example_of_type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: example(each, schemas) for name, each in properties.items()}
        case "array":
            return [example(schema.get("items", {}), schemas)]
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "null":
            return None
        case _:
            return BY_FORMAT.get(schema.get("format", ""), NO_EXAMPLE)


def _add_problems(operation: Operation, *, changes: bool) -> None:
    responses = operation["responses"]
    framework = responses.get("422", {}).get("content", {})
    if "application/json" in framework and "ValidationError" in str(framework):
        del responses["422"]
    members = operation.get("security")
    codes = [*ANY_REQUEST, *(ANY_MEMBERS if members else ()), *(ANY_CHANGE if members and changes else ())]
    if ADMINS_TAGS & set(operation.get("tags", ())):
        codes += ANY_ADMINS
    for status, answer in problems(*codes).items():
        there = responses.setdefault(str(status), {"description": "", "content": {}})
        there["content"].pop("application/json", None)
        examples = there["content"].setdefault(PROBLEM, {}).setdefault("examples", {})
        examples.update(answer["content"][PROBLEM]["examples"])
        there["description"] = there["description"] or answer["description"]
    for status, answer in responses.items():
        if not status.startswith("2"):
            _only_as_a_problem(answer)
            if status in ("429", "503"):
                answer["headers"] = {
                    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
                }


def _only_as_a_problem(answer: dict[str, Any]) -> None:
    """The framework lists a model as application/json too; ours come as problems only."""
    answer.get("content", {}).pop("application/json", None)
    answer.setdefault("content", {}).setdefault(PROBLEM, {})["schema"] = {
        "$ref": "#/components/schemas/ProblemOut"
    }


def _bodies(operation: Operation) -> Iterator[dict[str, Any]]:
    """The JSON bodies that go in and that come out when all is well."""
    body = operation.get("requestBody", {})
    answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    for part in (body, *answers):
        for kind, content in part.get("content", {}).items():
            if kind == "application/json":
                yield content


def _example_problem(code: str) -> dict[str, Any]:
    known = CODES[code]
    return {
        "type": TYPE + code,
        "title": "Error",
        "status": known.status,
        "detail": known.means,
        "code": code,
        "next_step": known.next_step,
        "request_id": "b5f4a1c0e6d94c8c9a53c6f0c0a7f1d2",
    }
