"""How well-known library calls fold: JSON, environment readers, defaults, formatting, pydantic dumps.

Only calls whose meaning is fixed by a language or a widely used library are here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portraitist.audit import ir
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Field, Known, OneOf, Outside, Struct, Unknown, Value, one_of, text

if TYPE_CHECKING:
    from portraitist.audit.link.bindings import Frame
    from portraitist.audit.link.evaluate import Evaluator

_SAME = {
    "JSON.stringify", "json.dumps", "Object.freeze", "String", "str", "Promise.resolve", "structuredClone",
    "encodeURIComponent", "Number", "float", "int", "parseFloat", "parseInt", "JSON.parse",
    "json.loads", "copy.deepcopy", "deepcopy", "copy.copy", "orjson.dumps", "new URL", "URL", "text", "sql.raw",
}  # fmt: skip
_ENV_READERS = {"os.getenv", "os.environ.get", "getenv", "Deno.env.get", "environ.get", "env.get"}
_METHODS_SAME = {
    "trim", "toString", "strip", "toLowerCase", "lower", "copy", "rstrip", "lstrip", "get_secret_value", "replace",
    "as", "json", "format_map", "encode", "toUpperCase", "upper",
}  # fmt: skip
_TRUTHS = {"Boolean", "bool"}
"""What makes of a value no more than whether it is there: nothing of a setting is left in it."""
_DUMPS = {"dict", "model_dump", "to_dict", "asdict"}


def fold_library_call(
    ev: Evaluator, module: Module, call: ir.Call, frame: Frame | None, depth: int
) -> Value | None:
    """The value of a call of a known library function, or None when it is not one."""
    name = ir.plain_dotted(call.func)
    if name in _ENV_READERS and call.args:
        return _environment(ev, module, call, frame, depth)
    copied = name == "dict" and call.kw is None and len(call.args) == 1
    if (name in _SAME or copied) and call.args:
        return ev.eval(module, call.args[0], frame, depth)
    if name in _TRUTHS and call.args:
        value = ev.eval(module, call.args[0], frame, depth)
        options = value.options if isinstance(value, OneOf) else (value,)
        kept = not any(isinstance(each, Outside) and each.kind == "env" for each in options)
        return value if kept else Unknown("truth of a setting")
    if name == "Object.fromEntries" and (source := _filtered_entries(call)) is not None:
        return ev.eval(module, source, frame, depth)
    if name == "Object.assign" or (name == "dict" and call.kw is not None):
        return _merged(ev, module, call, frame, depth)
    if isinstance(call.func, ir.Attr):
        found = _method(ev, module, call, frame, depth)
        if found is not None:
            return found
    return _constructed(ev, module, call, frame, depth) if module.language == "python" else None


def _filtered_entries(call: ir.Call) -> ir.Node | None:
    """`x` of `Object.fromEntries(Object.entries(x).filter(…))`: as much as nothing else is done with it."""
    inner = call.args[0] if len(call.args) == 1 else None
    while isinstance(inner, ir.Call) and isinstance(inner.func, ir.Attr) and inner.func.name == "filter":
        inner = inner.func.obj
    plain = isinstance(inner, ir.Call) and ir.plain_dotted(inner.func) == "Object.entries"
    return inner.args[0] if plain and isinstance(inner, ir.Call) and len(inner.args) == 1 else None


def filtered_of(node: ir.Other) -> ir.Node | None:
    """`x` of `{key: value for key, value in x.items() if …}`: what a comprehension only leaves things out of."""
    if node.kind != "dictionary_comprehension":
        return None
    pair, *rest = node.children()
    loops = [each for each in rest if isinstance(each, ir.Loop)]
    source, target = (loops[0].source, loops[0].target) if len(loops) == 1 else (None, None)
    if not (isinstance(source, ir.Call) and isinstance(source.func, ir.Attr) and source.func.name == "items"):
        return None
    made, taken = list(pair.children()), list(target.children()) if target is not None else []
    names = [each.id for each in (*made, *taken) if isinstance(each, ir.Name)]
    return source.func.obj if len(names) == 2 * len(made) == 4 and names[:2] == names[2:] else None


def _environment(ev: Evaluator, module: Module, call: ir.Call, frame: Frame | None, depth: int) -> Value:
    key = ev.eval(module, call.args[0], frame, depth)
    if not (isinstance(key, Known) and isinstance(key.value, str)):
        return Unknown("dynamic environment key")
    options: list[Value] = [Outside("env", key.value)]
    default = call.args[1] if len(call.args) > 1 else ir.keyword(call, "default")
    if default is not None:
        options.append(ev.eval(module, default, frame, depth))
    return one_of(options)


def _merged(ev: Evaluator, module: Module, call: ir.Call, frame: Frame | None, depth: int) -> Value:
    fields: list[Field] = []
    complete = True
    for source in [*call.args, *([call.kw] if call.kw else [])]:
        value = ev.eval(module, source, frame, depth)
        if isinstance(value, Struct):
            fields.extend(value.fields)
            complete = complete and not value.open
        else:
            complete = False
    return Struct(tuple(fields), not complete)


def _method(ev: Evaluator, module: Module, call: ir.Call, frame: Frame | None, depth: int) -> Value | None:
    func = call.func
    assert isinstance(func, ir.Attr)
    if func.name == "replace" and _only_slashes(call):
        return ev.eval(module, func.obj, frame, depth)
    if func.name in _METHODS_SAME:
        value = ev.eval(module, func.obj, frame, depth)
        plain = all(isinstance(each, Known | Outside) for each in getattr(value, "options", (value,)))
        kept = (plain or isinstance(value, Struct)) and func.name not in {
            "replace",
            "json",
            "format_map",
        }
        return value if kept else None
    if func.name == "get" and 1 <= len(call.args) <= 2:
        return _get(ev, module, call, frame, depth)
    if (
        func.name in {"parse", "safeParse", "parseAsync", "safeParseAsync", "model_validate"}
        and len(call.args) == 1
    ):
        value = ev.eval(module, call.args[0], frame, depth)
        if isinstance(value, Struct):
            parsed = Field("data", value, module.path, call.line, call.end)
            return Struct((parsed,)) if func.name.startswith("safe") else value
        return None
    if func.name in _DUMPS:
        value = ev.eval(module, func.obj, frame, depth)
        return value if isinstance(value, Struct) else None
    if func.name == "format":
        return _formatted(ev, module, call, frame, depth)
    return None


def _only_slashes(call: ir.Call) -> bool:
    """`path.replace(/^\\/+/, "")`: what only takes a slash away from an end."""
    pattern = call.args[0] if len(call.args) == 2 and ir.text_of(call.args[1]) == "" else None
    return isinstance(pattern, ir.Lit) and str(pattern.value) in _AT_AN_END


_AT_AN_END = {"/^\\//", "/^\\/+/", "/\\/$/", "/\\/+$/", "/\\/*$/"}


def _get(ev: Evaluator, module: Module, call: ir.Call, frame: Frame | None, depth: int) -> Value | None:
    func = call.func
    assert isinstance(func, ir.Attr)
    if module.language != "python":
        return None
    key = ir.text_of(call.args[0])
    if key is None:
        return None
    owner = ev.eval(module, func.obj, frame, depth)
    found = ev.member(owner, key)
    above = next((each for each in getattr(owner, "options", (owner,)) if isinstance(each, Outside)), None)
    name = f"{above.name}.{key}" if above is not None and above.kind == "field" else key
    options: list[Value] = [found if not isinstance(found, Unknown) else Outside("field", name)]
    if len(call.args) == 2:
        options.append(ev.eval(module, call.args[1], frame, depth))
    return one_of(options)


def _formatted(ev: Evaluator, module: Module, call: ir.Call, frame: Frame | None, depth: int) -> Value | None:
    assert isinstance(call.func, ir.Attr)
    base = ev.eval(module, call.func.obj, frame, depth)
    if not (isinstance(base, Known) and isinstance(base.value, str)):
        return None
    parts: list[Value] = []
    arguments = [ev.eval(module, each, frame, depth) for each in call.args]
    for position, piece in enumerate(base.value.split("{}")):
        if position:
            parts.append(arguments[position - 1] if position <= len(arguments) else Unknown("argument"))
        parts.append(Known(piece))
    return text(parts)


def _constructed(
    ev: Evaluator, module: Module, call: ir.Call, frame: Frame | None, depth: int
) -> Value | None:
    """An instance of a class with declared fields (pydantic, dataclass): defaults, then the arguments."""
    for target in ev.program.resolve(module, call.func):
        if (
            not isinstance(target.node, ir.Class)
            or target.module is None
            or target.module.language != "python"
        ):
            continue
        fields = class_fields(ev, target.module, target.node, depth)
        if call.kw is not None:
            given = ev.eval(module, call.kw, frame, depth)
            fields = [*fields, *(given.fields if isinstance(given, Struct) else ())]
        return Struct(tuple(fields)) if fields else None
    return None


def class_fields(ev: Evaluator, module: Module, cls: ir.Class, depth: int = 0) -> list[Field]:
    """The annotated or assigned fields of a class body with their defaults; `Field(default=…)` is seen through."""
    made: list[Field] = []
    for each in cls.body:
        if not isinstance(each, ir.Assign) or not isinstance(each.target, ir.Name):
            continue
        default = each.value
        if isinstance(default, ir.Call) and ir.dotted(default.func).endswith("Field"):
            default = ir.keyword(default, "default") or (default.args[0] if default.args else None)
        ellipsis = isinstance(default, ir.Other)
        value = (
            Outside("field", each.target.id)
            if default is None or ellipsis
            else ev.eval(module, default, None, depth)
        )
        made.append(Field(each.target.id, value, module.path, each.line, each.end, scope=cls.name))
    return made
