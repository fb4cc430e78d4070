"""Reading a version's own input schema: which keys it has and which values they take.

Pure. It knows the part of OpenAPI 3 that trained versions embed: references, `allOf`, `anyOf` with null,
types, enums, bounds.
Which parameters are sent, and with which values, is the business of `architecture`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from portraitist.studio.errors import StudioError

Value = str | int | float | bool
"""What an input of ours can be."""

OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"guidance": ("guidance_scale",)})
"""Names a parameter has in some versions' schemas, looked for before its own: trained FLUX versions call it
guidance_scale and drop `guidance` in silence."""

_REF = "#/components/schemas/"
_DEPTH = 8


class ArchitectureViolation(StudioError):
    """Something that the product's locks forbid: a fault of ours or of a version, never of the member."""


@dataclass(frozen=True)
class InputField:
    """One input of a version: its key there and what it takes; None means "not restricted"."""

    key: str
    type: str | None
    minimum: float | None
    maximum: float | None
    choices: tuple[Value, ...] | None

    def accepts(self, value: Value) -> bool:
        """Whether the version takes this value: its type, its bounds, its choices."""
        if not _has_type(value, self.type):
            return False
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.minimum is not None and value < self.minimum:
                return False
            if self.maximum is not None and value > self.maximum:
                return False
        return self.choices is None or value in self.choices


@dataclass(frozen=True)
class MappedSchema:
    """Our parameters by name, each with the version's own input field. Stored with the version as JSON."""

    fields: Mapping[str, InputField]

    def apply(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The values under the version's own keys. Raises ArchitectureViolation, naming the parameter."""
        result: dict[str, Value] = {}
        for name, value in values.items():
            field = self.fields.get(name)
            if field is None:
                raise _unknown(name)
            if not field.accepts(value):
                raise ArchitectureViolation(
                    "locked_value", f"This model's version does not take {name} = {value!r}."
                )
            result[field.key] = value
        return result

    def to_json(self) -> dict[str, object]:
        """Plain JSON, for `from_json`."""
        return {
            name: {
                "key": field.key,
                "type": field.type,
                "minimum": field.minimum,
                "maximum": field.maximum,
                "choices": None if field.choices is None else list(field.choices),
            }
            for name, field in self.fields.items()
        }

    @classmethod
    def from_json(cls, stored: object) -> Self:
        """What `to_json` gave. Raises ArchitectureViolation on anything else, foreign keys included."""
        fields = {str(name): _stored_field(str(name), value) for name, value in _mapping(stored).items()}
        return cls(MappingProxyType(fields))


def read_input_schema(openapi_schema: Mapping[str, object], names: Sequence[str]) -> MappedSchema:
    """Find each of our parameters among the version's inputs. Raises ArchitectureViolation.

    A parameter the version lacks, and an input it requires that is none of ours, are both violations.
    """
    schemas = _mapping(_mapping(openapi_schema.get("components")).get("schemas"))
    inputs = _mapping(schemas.get("Input"))
    properties = _mapping(inputs.get("properties"))
    fields: dict[str, InputField] = {}
    for name in names:
        key = next((key for key in names_of(name) if key in properties), None)
        if key is None:
            raise _unknown(name)
        fields[name] = _field(key, _resolved(properties[key], schemas))
    required = inputs.get("required")
    known = {field.key for field in fields.values()}
    for key in required if isinstance(required, list) else []:
        if key not in known:
            raise ArchitectureViolation(
                "required_input", f"This model's version asks for {key}, which we never send."
            )
    return MappedSchema(MappingProxyType(fields))


def names_of(name: str) -> tuple[str, ...]:
    """The keys under which a version may have this parameter, the likelier first."""
    return (*OTHER_NAMES.get(name, ()), name)


def _unknown(name: str) -> ArchitectureViolation:
    return ArchitectureViolation(
        "unknown_parameter", f"This model's version does not know the locked parameter {name}."
    )


def _resolved(schema: object, schemas: Mapping[str, object], depth: int = 0) -> dict[str, object]:
    """One flat schema: references and `allOf` merged in, `anyOf` taken for its first alternative but null."""
    if depth > _DEPTH:
        return {}
    own = dict(_mapping(schema))
    parts = [schemas.get(ref.removeprefix(_REF))] if isinstance(ref := own.pop("$ref", None), str) else []
    parts += _list(own.pop("allOf", None))
    parts += [part for part in _list(own.pop("anyOf", None)) if _mapping(part).get("type") != "null"][:1]
    merged: dict[str, object] = {}
    for part in parts:
        merged |= _resolved(part, schemas, depth + 1)
    return merged | own


def _field(key: str, schema: Mapping[str, object]) -> InputField:
    kind = schema.get("type")
    choices = schema.get("enum")
    return InputField(
        key,
        kind if isinstance(kind, str) else None,
        _number(schema.get("minimum")),
        _number(schema.get("maximum")),
        tuple(choice for choice in choices if isinstance(choice, Value))
        if isinstance(choices, list)
        else None,
    )


def _stored_field(name: str, stored: object) -> InputField:
    value = _mapping(stored)
    key = value.get("key")
    if not isinstance(key, str) or key not in names_of(name):
        raise ArchitectureViolation("stored_schema", f"The stored input schema maps {name} onto {key!r}.")
    return _field(key, {**value, "enum": value.get("choices")})


def _has_type(value: Value, kind: str | None) -> bool:
    if kind is None:
        return True
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, str):
        return kind == "string"
    return kind == "number" or (kind == "integer" and float(value).is_integer())


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
