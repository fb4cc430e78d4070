"""Input fields: one table entry says a field's type, limits and default; schema and checks follow from it.

Pure. What the fields are stands in `fields.py`. Unknown keys are dropped and named, never an error: the
cloud's historical contract (cog#2943). Bad values of known keys are errors, all of them at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from portraitist.engine.errors import InvalidField

FieldType = Literal["string", "integer", "number", "boolean", "uri", "secret"]


@dataclass(frozen=True)
class Field:
    """One key of an `input` object. A default of `None` means that the key may be absent."""

    name: str
    type: FieldType
    description: str
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Checked:
    """The outcome: known values as sent, values with every default, dropped keys, refusals."""

    given: dict[str, Any]
    effective: dict[str, Any]
    dropped: tuple[str, ...]
    problems: tuple[InvalidField, ...]


def check(fields: Sequence[Field], given: Mapping[str, Any]) -> Checked:
    """Judge an `input` object against its fields."""
    known = {field.name: field for field in fields}
    kept = {key: value for key, value in given.items() if key in known and value is not None}
    problems = [p for key, value in kept.items() if (p := _problem(known[key], value)) is not None]
    problems += [
        InvalidField("required", "input", f"{field.name} is required")
        for field in fields
        if field.required and field.name not in kept
    ]
    effective = {field.name: kept.get(field.name, field.default) for field in fields}
    dropped = tuple(key for key in given if key not in known)
    return Checked(kept, effective, dropped, tuple(problems))


def _problem(field: Field, value: object) -> InvalidField | None:
    where = f"input.{field.name}"
    if not _has_type(field.type, value):
        words = {"uri": "string", "secret": "string"}
        expected = words.get(field.type, field.type)
        return InvalidField("invalid_type", where, f"Invalid type. Expected: {expected}")
    if field.choices and value not in field.choices:
        listed = ", ".join(f'"{choice}"' for choice in field.choices)
        return InvalidField("enum", where, f"{where} must be one of the following: {listed}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if field.minimum is not None and not value >= field.minimum:
            return InvalidField("number_gte", where, f"Must be greater than or equal to {field.minimum:g}")
        if field.maximum is not None and not value <= field.maximum:
            return InvalidField("number_lte", where, f"Must be less than or equal to {field.maximum:g}")
    if field.type == "uri" and "://" not in str(value):
        return InvalidField("format", where, "Does not match format 'uri'")
    return None


def _has_type(kind: FieldType, value: object) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        whole = isinstance(value, float) and value.is_integer()
        return (isinstance(value, int) and not isinstance(value, bool)) or whole
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, str)


def document(
    fields: Sequence[Field], output: Mapping[str, Any], *, training: bool, info: Mapping[str, Any]
) -> dict[str, Any]:
    """An `openapi_schema` as Cog embeds it: components only; enums are schemas of their own."""
    schemas: dict[str, Any] = {"Input": _object("Input", fields), "Output": dict(output)}
    if training:
        schemas["TrainingInput"] = _object("TrainingInput", fields)
        schemas["TrainingOutput"] = {**output, "title": "TrainingOutput"}
    for field in fields:
        if field.choices:
            schemas[field.name] = {
                "enum": list(field.choices),
                "type": "string",
                "title": field.name,
                "description": "An enumeration.",
            }
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0", **info},
        "components": {"schemas": schemas},
    }


def _object(title: str, fields: Sequence[Field]) -> dict[str, Any]:
    properties = {field.name: {**_property(field), "x-order": n} for n, field in enumerate(fields)}
    body: dict[str, Any] = {"type": "object", "title": title, "properties": properties}
    required = [field.name for field in fields if field.required]
    return {**body, "required": required} if required else body


def _property(field: Field) -> dict[str, Any]:
    body: dict[str, Any] = {"description": field.description}
    if field.choices:
        body["allOf"] = [{"$ref": f"#/components/schemas/{field.name}"}]
    else:
        body["type"] = "string" if field.type in ("uri", "secret") else field.type
        body["title"] = field.name.replace("_", " ").title()
    if field.type == "uri":
        body["format"] = "uri"
    if field.type == "secret":
        body.update({"format": "password", "writeOnly": True, "x-cog-secret": True})
    optional = {"default": field.default, "minimum": field.minimum, "maximum": field.maximum}
    return {**body, **{key: value for key, value in optional.items() if value is not None}}
