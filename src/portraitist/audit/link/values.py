"""What an expression is worth, as far as the source says: a small lattice and its evaluator.

Unknown is an answer: a rule that needs a literal never fires on anything else. Nothing is executed.
"""

from __future__ import annotations

from dataclasses import field, replace

from portraitist.audit.frozen import dataclass
from portraitist.audit.ir import Node, Scalar


@dataclass(frozen=True, slots=True)
class Known:
    """A literal."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Text:
    """Text with holes; every part is a `Known` string or the value in the hole."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a struct and the place where it is set; `spread` names a merged value instead."""

    key: str
    value: Value
    path: str
    line: int
    end: int
    spread: bool = False
    scope: str = ""
    node: Node | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Struct:
    """An object or dict; later fields win. `open` when something unknown was merged in."""

    fields: tuple[Field, ...]
    open: bool = False

    def get(self, *keys: str) -> Value | None:
        """The value of the last field with one of these keys."""
        return next(
            (each.value for each in reversed(self.fields) if each.key in keys and not each.spread), None
        )


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """Several possibilities."""

    options: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Outside:
    """A value from outside the source: kind is env, param, field or global; `name` says which."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not resolved, and why."""

    reason: str = ""


Value = Known | Text | Struct | Items | OneOf | Outside | Unknown


_OPTIONS = 12
"""So many values a choice may have, but where it was made of more at once."""


def one_of(options: list[Value], most: int = 0) -> Value:
    """A flat, deduplicated choice; a single option is itself."""
    if len(options) == 1 and not isinstance(options[0], OneOf):
        return options[0]
    flat: list[Value] = []
    for each in options:
        flat.extend(each.options if isinstance(each, OneOf) else [each])
    unique: list[Value] = []
    for each in flat:  # compared, not hashed: values are deep, and nearly all differ at their top
        if each not in unique:
            unique.append(each)
    most = max([_OPTIONS, most, *(len(each.options) for each in options if isinstance(each, OneOf))])
    unique = unique[:most] or [Unknown("nothing")]
    if all(isinstance(each, Unknown) for each in unique):
        unique = unique[:1]
    return unique[0] if len(unique) == 1 else OneOf(tuple(unique))


def text(parts: list[Value]) -> Value:
    """Parts joined; a literal when every part is one."""
    flat: list[Value] = []
    for each in parts:
        flat.extend(each.parts if isinstance(each, Text) else [each])
    if all(isinstance(each, Known) for each in flat):
        return Known("".join(_plain(each.value) for each in flat if isinstance(each, Known)))
    return Text(tuple(flat))


def _plain(value: Scalar) -> str:
    if value is True or value is False:
        return str(value).lower()
    return "" if value is None else str(value)


def render(value: Value, depth: int = 0) -> str | None:
    """Text with `{name}` for holes, or None for anything that is no text at all."""
    if isinstance(value, Known):
        return _plain(value.value) if value.value is not None else None
    if isinstance(value, Text):
        return "".join(_hole(each, depth) for each in value.parts)
    if isinstance(value, OneOf) and depth < 4:
        rendered = [found for each in value.options if (found := render(each, depth + 1)) is not None]
        return max(rendered, key=len) if rendered else None
    return None


def renderings(value: Value) -> list[str]:
    """Every text a value may be, `{name}` for holes; choices inside a text are expanded, at most 12."""
    if isinstance(value, OneOf):
        return [each for option in value.options for each in renderings(option)][:12]
    if not isinstance(value, Text):
        found = render(value)
        return [] if found is None else [found]
    made = [""]
    for part in value.parts:
        options = renderings(part) if isinstance(part, OneOf | Known) else [_hole(part, 0)]
        made = [head + tail for head in made for tail in options or [_hole(part, 0)]][:12]
    return made


def _hole(value: Value, depth: int) -> str:
    if isinstance(value, Known):
        return _plain(value.value)
    if isinstance(value, Outside):
        return "{" + value.name.rpartition(".")[2] + "}"
    if isinstance(value, OneOf | Text) and depth < 4:
        return render(value, depth + 1) or "{}"
    return "{}"


def fold(value: Value | None) -> object:
    """A JSON value: the literal, text with holes, a list for a choice, or None when unknown."""
    if isinstance(value, Known):
        return value.value
    if isinstance(value, Text):
        return render(value)
    if isinstance(value, OneOf):
        known = [
            each for each in (fold(option) for option in value.options) if each is not None and each != ""
        ]
        return known if len(known) > 1 else (known[0] if known else None)
    if isinstance(value, Items):
        items = [fold(each) for each in value.items]
        return items if not items or any(each is not None for each in items) else None
    return None


def literals(value: Value | None) -> list[Scalar]:
    """Every literal a value may be."""
    if isinstance(value, Known):
        return [value.value]
    if isinstance(value, OneOf):
        return [found for each in value.options for found in literals(each)]
    return []


def structs(value: Value | None) -> list[Struct]:
    """Every struct a value may be."""
    if isinstance(value, Struct):
        return [value]
    if isinstance(value, OneOf):
        return [found for each in value.options for found in structs(each)]
    return []


def with_fields(base: Value, fields: tuple[Field, ...]) -> Value:
    """`base` with more fields set after it."""
    if isinstance(base, Struct):
        return replace(base, fields=base.fields + fields)
    if isinstance(base, OneOf) and structs(base):
        return OneOf(
            tuple(with_fields(each, fields) if isinstance(each, Struct) else each for each in base.options)
        )
    return Struct(fields, open=True)


def is_null(value: Value | None) -> bool:
    """Whether the value is null in every case."""
    return isinstance(value, Known) and value.value is None


def _is_text(*values: Value) -> bool:
    """Whether one of the values is text for certain: then a sum of them is text."""
    return any(
        isinstance(each, Text) or (isinstance(each, Known) and isinstance(each.value, str)) for each in values
    )


def arithmetic(op: str, left: Value, right: Value) -> Value:
    """`left op right` for literals; texts and outside values are joined by `+`."""
    if not (isinstance(left, Known) and isinstance(right, Known)):
        joins = op == "+" and isinstance(left, Known | Outside) and isinstance(right, Known | Outside)
        return text([left, right]) if joins or (op == "+" and _is_text(left, right)) else Unknown("operation")
    a, b = left.value, right.value
    if isinstance(a, bool | str | None) or isinstance(b, bool | str | None):
        return text([left, right]) if op == "+" else Unknown("operation")
    if op == "/":
        return Known(a / b) if b else Unknown("division")
    if abs(a) > 1e12 or abs(b) > 1e12:
        return Unknown("large numbers")
    return Known({"*": a * b, "-": a - b, "+": a + b}[op])
