"""Risk of versions that are taken apart without a look at the parts. The rule `version-parse-fragile`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, OneOf, literals
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import finding, last_name, names_in, trace
from portraitist.audit.rules.gravity import BARELY

_VERSIONED = re.compile(r"version|output\.|destination|trained", re.I)
_MODEL = re.compile(r"model|version|(^|[._])(ref|slug)$", re.I)
_PARTS = {":", "/versions/", "versions/"}
"""What stands in front of a version."""
_OWN = re.compile(r"output|^[A-Z][A-Z0-9_]+$")
"""What the provider answers in its own form, and constants: they are as their reader expects, as a rule."""
_LAST = {"pop", "at", "shift"}


def version_parse_fragile(ctx: Context) -> Iterator[Finding]:
    """A version taken apart by a pattern for one address form, or by `split(":")` without a check of the parts.

    The first or last part is always there, as is every part of a literal that holds a colon; the last part of a model
    without a version is the model itself, which counts where it is sent as the version. Also the first group of a
    pattern that need not match.
    """
    sent = ctx.once(_sent_as_version)
    for module in ctx.live:
        yield from _address_forms(module)
        yield from _unmatched(module)
        for call in module.calls({"split", "partition"}):
            source = call.func.obj if isinstance(call.func, ir.Attr) else None
            if source is None or not call.args or ir.text_of(call.args[0]) not in _PARTS:
                continue
            if not _is_taken(module, call, source, sent):
                continue
            if _always_there(ctx, module, call, source, sent) or _parts_checked(call):
                continue
            message = (
                f"{ir.dotted(source)} is split at {ir.text_of(call.args[0])!r} and the parts are not checked"
            )
            weight = BARELY if _OWN.search(ir.dotted(source)) else 40
            yield finding(
                "version-parse-fragile", module, call, message, key=ir.dotted(source), weight=weight
            )


_GROUP = re.compile(r"(?<!\\)\((?!\?)")


def _address_forms(module: Module) -> Iterator[Finding]:
    """Patterns that take a part out of an address; one that is only tested, or has no group, reads nothing."""
    for lit in module.all(ir.Lit) if "replicate" in module.file.words else ():
        pattern = str(lit.value)
        if lit.kind == "regex" and re.search(r"replicate\\?\.com", pattern) and _GROUP.search(pattern):
            made = lit.parent
            name = ir.plain_dotted(made.target) if isinstance(made, ir.Assign) else ""
            if isinstance(made, ir.Attr) and made.name == "test":
                continue
            if name and f"{name}.test(" in module.file.text:
                continue
            message = "a version is read by a pattern for replicate.com addresses only"
            yield finding("version-parse-fragile", module, lit, message, key="regex", weight=45)


def _unmatched(module: Module) -> Iterator[Finding]:
    """`output.version.match(/:(\\w+)$/)[1]`: there is no first group where the pattern does not match."""
    for call in module.calls({"match"}):
        source = call.func.obj if isinstance(call.func, ir.Attr) else None
        use = call.parent
        first = isinstance(use, ir.Index) and use.obj is call and not use.maybe
        if source is None or not first or not _VERSIONED.search(ir.dotted(source)):
            continue
        if not _parts_checked(call):
            message = f"{ir.dotted(source)} is matched with a pattern, and the match is not checked"
            yield finding("version-parse-fragile", module, call, message, key=ir.dotted(source), weight=40)


def _is_taken(module: Module, call: ir.Call, source: ir.Node, sent: set[ir.Node]) -> bool:
    """Whether what is split is a version by its name, or a model whose part behind the colon is taken or sent."""
    named = ir.dotted(source)
    if last_name(call.func) == "split" and ir.text_of(call.args[0]) == ":" and _VERSIONED.search(named):
        return True
    page = module.path.endswith((".tsx", ".jsx"))
    behind = (ir.text_of(call.args[0]) or "") != ":"
    second = _takes_second(call) and not page and (behind or _MODEL.search(named) is not None)
    return second or call in sent


def _takes_second(call: ir.Call) -> bool:
    """`model.split(":")[1]`, `[name, version] = …split(":")`: the part behind the colon."""
    use = call.parent
    if isinstance(use, ir.Index) and isinstance(use.key, ir.Lit):
        return use.obj is call and use.key.value == (1 if last_name(call.func) == "split" else 2)
    items = _unpacked(call)
    return len(items) > 1 and re.search(r"version|hash", last_name(items[-1]), re.I) is not None


def _unpacked(call: ir.Call) -> list[ir.Node]:
    """The targets that the parts are handed to at once."""
    made = call.parent
    if not isinstance(made, ir.Assign) or made.value is not call:
        return []
    target = made.target
    return (
        [*target.items]
        if isinstance(target, ir.Arr)
        else [*target.parts]
        if isinstance(target, ir.Other)
        else []
    )


def _sent_as_version(ctx: Context) -> set[ir.Node]:
    """The splits of a model, of what is not named a version, whose part goes to the provider as its version."""
    given = (
        (ctx.program.modules[field.path], field.node)
        for call in ctx.creates()
        for field in call.fields("version")
    )
    cuts = (_cut(part) for module, node in given for _, part in trace(ctx, module, node))
    return {
        each
        for each in cuts
        if each is not None
        and isinstance(each.func, ir.Attr)
        and not _VERSIONED.search(ir.dotted(each.func.obj))
    }


def _cut(part: ir.Node) -> ir.Call | None:
    """The split behind `….split(":")`, or behind `….split(":").pop()`."""
    if isinstance(part, ir.Call) and isinstance(part.func, ir.Attr) and part.func.name in _LAST:
        part = part.func.obj
    return part if isinstance(part, ir.Call) and last_name(part.func) in {"split", "partition"} else None


def _always_there(ctx: Context, module: Module, call: ir.Call, source: ir.Node, sent: set[ir.Node]) -> bool:
    """`….split(":")[0]`, `.pop()`, `[-1]`: parts that a text without a colon has too; or a literal that has one."""
    value = ctx.ev.eval(module, source)
    if isinstance(value, Known):
        return ":" in str(value.value)
    known = [str(each) for each in literals(value)]
    whole = isinstance(value, OneOf) and len(known) == len(value.options)
    with_one = [":" in each for each in known]
    if whole and (all(with_one) or (any(with_one) and _is_sorted_out(call, source))):
        return True
    use = call.parent
    if isinstance(use, ir.Index) and isinstance(use.key, ir.Lit):
        return use.key.value == 0 or (use.key.value == -1 and call not in sent)
    if isinstance(use, ir.Attr) and isinstance(use.parent, ir.Call) and use.parent.func is use:
        ends = [each.value for each in use.parent.args if isinstance(each, ir.Lit)]
        if use.name == "shift" or (use.name == "at" and ends == [0]):
            return True
        return (use.name == "pop" or (use.name == "at" and ends == [-1])) and call not in sent
    return False


def _is_sorted_out(call: ir.Call, source: ir.Node) -> bool:
    """Whether entries of a fixed list are turned away by another member: `if (entry.provider === "x") throw …`."""
    entry = source.obj if isinstance(source, ir.Attr) else None
    if not isinstance(entry, ir.Name) or call.within is None:
        return False
    for each in ir.find(call.within, ir.If):
        holders = (one.obj for one in ir.find(each.test, ir.Attr))
        about = any(isinstance(one, ir.Name) and one.id == entry.id for one in holders)
        if about and each.end < call.line and exits(each.then):
            return True
    return False


def _parts_checked(call: ir.Call) -> bool:
    """Whether the string was tested for the colon, or the results are tested after the split."""
    func = ir.enclosing(call, ir.Func)
    made = {each.id for target in _targets(call) for each in ir.find(target, ir.Name)}
    matched = (
        last_name(call.func.obj) if isinstance(call.func, ir.Attr) and call.func.name == "match" else ":"
    )
    for each in ir.find(func, ir.If) if func is not None else []:
        names = names_in(each.test)
        if names & made or ":" in names or matched in names:
            return True
    return any(isinstance(each, ir.Cond) and ":" in names_in(each.test) for each in ir.ancestors(call))


def _targets(call: ir.Call) -> Iterator[ir.Node]:
    """What the parts are put into, where no other call or object lies between."""
    for each in ir.ancestors(call):
        if isinstance(each, ir.Assign):
            yield each.target
        if isinstance(each, ir.Assign | ir.Prop | ir.Func) or (
            isinstance(each, ir.Call) and last_name(each.func) not in _LAST
        ):
            return
