"""Functions that stand in a list of models and build what each of them is sent: `model.buildInput(request)`.

Which entry of the list is asked is known when the program runs; here it may be any of them. Found by their name alone,
which must say that they build an input, and only where nothing else is known of the call.
"""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.link.module import Module
from portraitist.audit.link.program import Program
from portraitist.audit.link.targets import Target
from portraitist.audit.model import LIVE_ROLES

_BUILDS = re.compile(
    r"(build|get|to|make|create|format|prepare|map|compose)_?\w*(inputs?|payload|params|arguments|body)", re.I
)
MOST = 40
"""Of more builders of one name nothing is said."""


class Builders:
    """The builders of one program, by their names."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: dict[str, list[Target]] = {}

    def called(self, module: Module, call: ir.Call) -> list[Target]:
        """The builders that a call may run: those of its own file before those of others."""
        name = _asked(call)
        if not _BUILDS.fullmatch(name):
            return []
        if name not in self._known:
            files = [
                each
                for each in self.program.modules.values()
                if each.role in LIVE_ROLES and name in each.file.text
            ]
            self._known[name] = [Target(each, func) for each in files for func in _defined(each, name)]
        found = [
            each
            for each in self._known[name]
            if each.module is not None and each.module.language == module.language
        ]
        own = [each for each in found if each.module is module]
        return (own or found) if len(own or found) <= MOST else []


def is_built_in_list(node: ir.Node | None) -> bool:
    """Whether a value stands in such a builder: it is for one model of the list, and those beside it for others."""
    around = ir.ancestors(node) if node is not None else ()
    return any(
        isinstance(each, ir.Func)
        and isinstance(each.parent, ir.Prop)
        and _BUILDS.fullmatch(each.parent.key or "")
        for each in around
    )


def _asked(call: ir.Call) -> str:
    """The name of the member that a call runs: `model.buildInput(…)`, `model["build_input"](…)`."""
    if isinstance(call.func, ir.Attr):
        return call.func.name
    return ir.text_of(call.func.key) or "" if isinstance(call.func, ir.Index) else ""


def _defined(module: Module, name: str) -> list[ir.Func]:
    return [
        each.value for each in module.all(ir.Prop) if each.key == name and isinstance(each.value, ir.Func)
    ]
