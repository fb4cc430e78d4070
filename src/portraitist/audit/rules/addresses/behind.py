"""Part of the rule on temporary addresses: values that are kept only where a copy was made.

Looks at one function; what a copy's call is told by is in `loose`.
"""

from __future__ import annotations

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import bindings_of, block_of
from portraitist.audit.link.module import Binding, Module
from portraitist.audit.rules.addresses.loose import copied
from portraitist.audit.rules.base import last_name, trace
from portraitist.audit.rules.proven import proven


def is_behind_copy(ctx: Context, module: Module, node: ir.Node) -> bool:
    """Whether a variable is kept only where another is there that is set beside the copy alone.

    `let path; try { stored = (await upload(url)).url; path = … } catch {}`, and then `if (path) keep(stored)`. Also
    where the copy is the other branch of a test that leaves: `if (!copy.ok) throw …; else url = copy.url`.
    """
    if not isinstance(node, ir.Name):
        return False
    made = [each for each in bindings_of(module, node) if each.value is not None]
    copies = [each for each in made if copied_at_all(parts_of(ctx, module, each.value))]
    if any(_is_left_without(each, node) for each in copies):
        return True
    blocks = {block_of(each.node) for each in copies} - {
        block_of(each.node) for each in made if each not in copies
    }
    for mark in proven(node) if blocks else ():
        known = module.lookup(mark.id, mark) if isinstance(mark, ir.Name) and mark.id != node.id else None
        filled = [each for each in known[1] if not _begins_empty(each)] if known else []
        if filled and all(block_of(each.node) in blocks for each in filled):
            return True
    return False


def _is_left_without(copy: Binding, use: ir.Node) -> bool:
    """Whether the function is left where the copy is not set, before a use behind it."""
    branch = block_of(copy.node)
    if not isinstance(branch, ir.If) or use.line <= branch.end or not exits(branch.then[-1:]):
        return False
    return branch.within is use.within and any(copy.node in set(ir.walk(each)) for each in branch.other)


def copied_at_all(parts: list[tuple[Module, ir.Node]]) -> bool:
    """Whether a value may be a copy's address: what a helper that copies gave, or a storage for its own file."""
    gives = (last_name(part.func) for _, part in parts if isinstance(part, ir.Call))
    return copied(parts) or any(name in {"getPublicUrl", "get_public_url"} for name in gives)


def _begins_empty(binding: Binding) -> bool:
    """`let path`, `path = None`, `done = false`, `path = ""`."""
    nothing = isinstance(binding.value, ir.Lit) and not binding.value.value
    return binding.kind == "unset" or (binding.kind == "assign" and nothing)


def parts_of(ctx: Context, module: Module, node: ir.Node | None) -> list[tuple[Module, ir.Node]]:
    """Where a column's value comes from, through the entries of one object too: `{ ...old, [name]: url }`."""
    found = list(trace(ctx, module, node, helpers=True))
    inside = [(where, prop.value) for where, part in found if isinstance(part, ir.Obj) for prop in part.props]
    return [*found, *(one for where, part in inside for one in trace(ctx, where, part, helpers=True))]
