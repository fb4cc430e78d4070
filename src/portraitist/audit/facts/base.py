"""What the collectors share and hand to the rules: the program, the evaluator and the typed records.

Records (provider calls, routes, statements) point into the syntax; facts are their flat, printable form.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from portraitist.audit import ir
from portraitist.audit.link.evaluate import Evaluator
from portraitist.audit.link.module import Module
from portraitist.audit.link.program import Program
from portraitist.audit.link.targets import Target
from portraitist.audit.link.values import Field, Struct, Value, fold, structs
from portraitist.audit.model import LIVE_ROLES, Fact, Place, Unresolved
from portraitist.audit.source import Tree
from portraitist.audit.vocabulary import Vocabulary

if TYPE_CHECKING:
    from portraitist.audit.facts.flows import Flow
    from portraitist.audit.link.reach import Reach

T = TypeVar("T")


WAITED_FOR = {"run", "stream", "async_run", "async_stream"}
"""The calls of the provider's library that give the output itself."""


@dataclass(frozen=True, eq=False)
class ProviderCall:
    """A call of the provider: `api` is `predictions.create`, `run` or `POST /v1/predictions`."""

    module: Module
    call: ir.Call
    api: str
    sdk: bool
    options: tuple[Struct, ...]
    model: Value | None = None

    @property
    def func(self) -> ir.Func | None:
        """The enclosing function."""
        return ir.enclosing(self.call, ir.Func)

    @functools.cached_property
    def purpose(self) -> str:
        """training, generation, model, status or other."""
        name = self.api.lower()
        post = self.sdk or name.startswith("post ")
        if post and "get" not in name and self._runs_trainer():
            return "training"
        if "{urls." in name:
            return "status"
        if "training" in name:
            return "training" if name.endswith(("create", "trainings")) and post else "status"
        if name in WAITED_FOR | {"use"} or name.endswith("generateimage"):
            return "generation"
        if "prediction" in name or name == "predict":
            return (
                "generation"
                if name.endswith(("create", "async_create", "predictions", "predict")) and post
                else "status"
            )
        return "model" if "models" in name else "other"

    def _runs_trainer(self) -> bool:
        """Some trainers are started as predictions: `flux-pro-trainer`."""
        values = [self.model, *(each.value for each in self.fields("model", "version"))]
        return any(re.search(r"/[\w.-]*trainer\b", str(fold(each))) for each in values if each is not None)

    @property
    def creates(self) -> bool:
        """Whether it starts paid work."""
        return self.purpose in {"training", "generation"}

    def fields(self, *keys: str) -> list[Field]:
        """The sent fields with one of these keys, at the top or in `input`."""
        return [each for each in self._sent if each.key in keys]

    @functools.cached_property
    def _sent(self) -> list[Field]:
        return sent_fields(self.options)


@dataclass(slots=True, eq=False)
class Route:
    """A way in: an HTTP route, server action, page, job or script (`method` says which)."""

    method: str
    path: str
    module: Module
    node: ir.Node
    handlers: tuple[Target, ...]
    guards: tuple[tuple[Module, ir.Node], ...] = ()
    framework: str = ""
    guarded_by: list[tuple[str, Place]] = field(default_factory=list)

    @property
    def key(self) -> str:
        """`POST /api/x`."""
        return f"{self.method} {self.path}"

    @property
    def funcs(self) -> list[ir.Func]:
        """Its handlers whose code is here."""
        return [each.node for each in self.handlers if isinstance(each.node, ir.Func)]

    @property
    def home(self) -> tuple[Module, ir.Node]:
        """Where a reader looks for what is missing: the view behind a list of URLs, the function that a file's export
        wraps or a router or a timer is given by its name, else the registration itself."""
        listed = self.framework == "python" and "urlpatterns" in self.module.top.names
        named = self.framework in {"express", "job"}
        exported = self.framework in {"next", "pages"}
        for each in self.handlers if listed or named or exported else ():
            if each.module is None or not isinstance(each.node, ir.Func):
                continue
            inside = each.module is self.module and self.node.line <= each.node.line <= self.node.end
            if listed or (not inside and (named or each.module is self.module)):
                return each.module, each.node
        return self.module, self.node

    @property
    def head(self) -> int:
        """The line on which the handler itself begins, below its decorators, else the registration's."""
        module, node = self.home
        own = [
            each.node for each in self.handlers if each.module is module and isinstance(each.node, ir.Func)
        ]
        lines = [each.line for each in own if node.line <= each.line <= max(node.end, node.line)]
        return max(lines, default=node.line)

    @property
    def is_http(self) -> bool:
        """Whether somebody outside can call it."""
        return self.method not in {"JOB", "SCRIPT", "PAGE"}


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """A column in a statement, where it stands, and the value written to it when that is known."""

    column: str
    path: str
    line: int
    value: Value | None = None
    node: ir.Node | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A database statement: kind is write, delete or read; `where` holds the columns that select rows.

    `signed` names what a raw request to Supabase's REST interface is signed with; None for all other statements.
    """

    kind: str
    table: str
    columns: tuple[ColumnUse, ...]
    where: tuple[str, ...]
    module: Module
    node: ir.Node
    line: int
    end: int
    insert: bool = False
    where_values: tuple[tuple[str, ir.Node], ...] = ()
    signed: tuple[str, ...] | None = None

    @property
    def func(self) -> ir.Func | None:
        """The enclosing function."""
        return ir.enclosing(self.node, ir.Func)


@dataclass(slots=True)
class TableDef:
    """A table's definition: columns with their types and lines."""

    name: str
    path: str
    line: int
    columns: dict[str, tuple[str, Place]]
    source: str
    property_names: dict[str, str] = field(default_factory=dict)
    end: int = 0


class Context:
    """Everything known so far; collectors add, rules read."""

    def __init__(self, tree: Tree, program: Program, ev: Evaluator, words: Vocabulary) -> None:
        self.tree = tree
        self.program = program
        self.ev = ev
        self.words = words
        self.facts: list[Fact] = []
        self._by_kind: dict[str, list[Fact]] = {}
        self._sorted_in = 0
        self.unresolved: list[Unresolved] = []
        self.judged: list[str] | None = None
        """The rules that were asked for, or none where all were."""
        self.unjudged: list[tuple[str, str]] = []
        self.calls: list[ProviderCall] = []
        self.routes: list[Route] = []
        self.statements: list[Statement] = []
        self.tables: dict[str, list[TableDef]] = {}
        self.dead_funcs: set[ir.Func] = set()
        self.dead_modules: set[str] = set()
        self.flows: list[Flow] = []
        self.denies: dict[ir.Func, bool] = {}
        self.asking: dict[ir.Func, bool] = {}
        self.reached: Reach
        self._answers: dict[tuple[object, ...], Any] = {}

    def once(self, question: Callable[..., T], *about: Hashable) -> T:
        """The answer to a question about a piece of syntax or a route: `question(context, *about)`, asked once."""
        key = (question, *about)
        if key not in self._answers:
            self._answers[key] = question(self, *about)
        return self._answers[key]  # type: ignore[no-any-return]

    def in_order(self, funcs: Iterable[ir.Func]) -> list[ir.Func]:
        """Functions as they stand in the sources: a set of them has another order in every run."""
        return sorted(funcs, key=lambda each: (self.program.module_of[each].path, each.first))

    @functools.cached_property
    def unparsed(self) -> frozenset[str]:
        """The paths of files that are there and that nothing reads."""
        return self.tree.paths - {each.path for each in self.tree.files}

    @functools.cached_property
    def call_at(self) -> dict[ir.Call, ProviderCall]:
        """The provider calls by their syntax, once all are found."""
        return {each.call: each for each in self.calls}

    @functools.cached_property
    def statements_under(self) -> dict[ir.Func, list[Statement]]:
        """The statements of each function and of those written inside it, once all are found."""
        found: dict[ir.Func, list[Statement]] = {}
        for each in self.statements:
            func = each.func
            while func is not None:
                found.setdefault(func, []).append(each)
                func = func.within
        return found

    @functools.cached_property
    def statements_at(self) -> dict[ir.Node, list[Statement]]:
        """The statements by their syntax, once all are found."""
        found: dict[ir.Node, list[Statement]] = {}
        for each in self.statements:
            found.setdefault(each.node, []).append(each)
        return found

    @functools.cached_property
    def handled_by(self) -> dict[ir.Func, list[Route]]:
        """The routes of each handler, once all routes are found."""
        found: dict[ir.Func, list[Route]] = {}
        for route in self.routes:
            for target in route.handlers:
                if isinstance(target.node, ir.Func):
                    found.setdefault(target.node, []).append(route)
        return found

    @functools.cached_property
    def modules(self) -> list[Module]:
        """All modules, by path."""
        return list(self.program.modules.values())

    @functools.cached_property
    def live(self) -> list[Module]:
        """Modules that take part in flows: no tests, backups or generated code."""
        return [each for each in self.modules if each.role in LIVE_ROLES]

    def add(
        self,
        kind: str,
        key: str,
        module: Module,
        node: ir.Node,
        *,
        value: object = None,
        line: int = 0,
        end: int = 0,
        evidence: Iterable[Place] = (),
        shows: str | None = None,
    ) -> None:
        """Adds a fact anchored at `node`, or at `line` when that is given."""
        first = line or node.line
        last = max(first, end or node.end)
        role = self.role_at(module, node)
        fact = Fact(
            kind,
            key,
            module.path,
            first,
            last,
            role,
            value,
            module.scope_name(node),
            tuple(evidence),
            key if shows is None else shows,
        )
        self.facts.append(fact)

    def add_at(self, kind: str, key: str, path: str, line: int, *, role: str = "src", value: object = None,
               evidence: Iterable[Place] = (), shows: str | None = None, end: int = 0) -> None:  # fmt: skip
        """Adds a fact that no syntax node stands for."""
        last = max(line, end)
        self.facts.append(
            Fact(
                kind, key, path, line, last, role, value, "", tuple(evidence), key if shows is None else shows
            )
        )

    def role_at(self, module: Module, node: ir.Node) -> str:
        """The file's role, or `dead` inside a function that nothing reaches."""
        func = node if isinstance(node, ir.Func) else ir.enclosing(node, ir.Func)
        if module.role != "src":
            return module.role
        return "dead" if func in self.dead_funcs or module.path in self.dead_modules else "src"

    def shown(self, module: Module, first: int, last: int, *words: str) -> str:
        """The first of the words that stands in these lines, so that a claim can show it; else ""."""
        text = "\n".join(module.text(line) for line in range(first, min(last, first + 60) + 1)).lower()
        return next((each for each in words if each and each.lower() in text), "")

    def puzzled(self, subject: str, module: Module, node: ir.Node, reason: str) -> None:
        """Records a question that could not be decided."""
        self.unresolved.append(Unresolved(subject, module.path, node.line, reason))

    def of(self, *kinds: str) -> list[Fact]:
        """The facts of these kinds, in their order, each under its first name."""
        for each in self.facts[self._sorted_in :]:
            if not each.also:
                self._by_kind.setdefault(each.kind, []).append(each)
        self._sorted_in = len(self.facts)
        if len(kinds) == 1:
            return list(self._by_kind.get(kinds[0], ()))
        return [each for each in self.facts if each.kind in kinds and not each.also]

    def settle(self, facts: list[Fact]) -> None:
        """Puts the final facts in place of those collected so far."""
        self.facts, self._by_kind, self._sorted_in = facts, {}, 0

    def creates(self) -> list[ProviderCall]:
        """Live calls that start paid work."""
        return [
            each for each in self.calls if each.creates and self.role_at(each.module, each.call) in LIVE_ROLES
        ]


def sent_fields(options: Iterable[Struct]) -> list[Field]:
    """Every field of the options, those of `input` in place of `input` itself; spreads included."""
    found: list[Field] = []
    for struct in options:
        for each in struct.fields:
            inner = structs(each.value) if each.key == "input" and not each.spread else []
            if inner:
                found.extend(field for part in inner for field in part.fields)
            else:
                found.append(each)
    return list(dict.fromkeys(found))
