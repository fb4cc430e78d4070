"""What each function does with credits: takes them, gives them back, asks for them; its helpers included.

Reads names, statements and tests; whether their order is right is judged in `charges`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import ColumnUse, Context, Statement
from portraitist.audit.facts.database import snake
from portraitist.audit.frozen import dataclass
from portraitist.audit.link.calls import arguments
from portraitist.audit.link.module import Module
from portraitist.audit.link.targets import HANDING_ON, handed_on
from portraitist.audit.rules.base import last_name, live_statements, names_in, runs_in_browser
from portraitist.audit.rules.credits.changes import (
    CREDIT,
    all_changes,
    balance,
    is_called_new,
    is_negative,
    meaning,
    signs_of,
)
from portraitist.audit.rules.credits.learned import balances, is_learned
from portraitist.audit.rules.credits.procedures import stored_kind
from portraitist.audit.rules.syntax import ORDER

# All of these are asked of names in snake case.
MONEY = re.compile(
    CREDIT.pattern + r"|_limit|limit_|limits|limiter|allowance|entitle|eligib|subscri|payment|purchase"
    r"|(^|_)(usage|paid|(plans?|tiers?|pro)(_|$)|role$)"
    r"|premium|trial|billing|stripe|invoice|licen[sc]e|is_admin|admin_"
    r"|whitelist|allowed|can_(\w+_)?(generate|train|create|use)|throttle|api_keys?$",
)
"""What may decide whether a member may spend money: where one of these is asked, nothing is said to be unasked."""
_THING = r"(credits?|tokens|coins?|gems|diamonds|crystals|balance|quota|points|reserve|wallet|charge|hold)"
_TAKES = re.compile(
    rf"(^|_)(use|consume|charge|spend|deduct|decrement|subtract|take|debit|reduce|withdraw|burn)_(\w+_)?{_THING}"
    rf"|{_THING}_(consume|charge|spend|deduct|decrement|debit)",
)
_GIVES = re.compile(
    rf"refund|(^|_)(restore|return|give_back|add|grant|increment|release|revert|reset|rollback|top_up)_(\w+_)?{_THING}"
    rf"|{_THING}_(refund|restore|add|grant|increment)",
)
MAX_DEPTH = 3
"""How many helpers below a function what they do still counts as its own."""

_RATE = re.compile(r"rate[-_]?limit|throttl|(?<![a-z])limiter", re.I)

Kinds = frozenset[str]
NOTHING: Kinds = frozenset()


@dataclass(frozen=True, slots=True)
class Event:
    """Something done with credits at a line: take, give, check or look (a test of anything that money may buy)."""

    kind: str
    node: ir.Node
    line: int
    end: int


class Ledger:
    """What every function does with credits: its own events, and what its helpers do."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.own: dict[ir.Func, list[Event]] = {}
        self._events: dict[ir.Func, list[Event]] = {}
        self.balances = {snake(each.partition(".")[2]) for each in balances(ctx)}
        for statement in live_statements(ctx, "write", "read"):
            for func, event in _of_statement(ctx, statement):
                self._add(func, event)
        servers = [each for each in ctx.live if _on_server(each)]
        for module, kind, name, node in ctx.once(all_changes):
            if not _on_server(module):
                continue
            self.balances.add(name)
            if not any(each.line <= node.line <= each.end for each in self._known(node.within, kind)):
                self._add(node.within, Event(kind, node, node.line, node.end))
        for module in servers:
            chain = _knows_chains(module)
            for call in module.calls({"rpc", *(each for each in module.callees if _meant(each))}):
                for kind in kinds_of(ctx, call):
                    if not (chain and kind == "check" and _of_wallet([last_name(call.func)])):
                        self._add(call.within, Event(kind, call, call.line, call.end))
            tests: list[ir.If | ir.Cond] = [*module.all(ir.If), *module.all(ir.Cond)]
            for test in tests:
                names = names_in(test.test)
                wallet = chain and _of_wallet(names)
                for kind in self._asked(test.test, names) - ({"check"} if wallet else set()):
                    self._add(test.within, Event(kind, test, test.line, test.test.end))
        self.handed = list(_handed_over(ctx, servers))
        self.kinds = self._propagated()

    def _known(self, func: ir.Func | None, kind: str) -> list[Event]:
        return [each for each in self.own.get(func, ()) if each.kind == kind] if func is not None else []

    def _asked(self, test: ir.Node, names: set[str]) -> set[str]:
        """What a test with these names asks for; one that is lowered somewhere is a balance whatever it is called."""
        asked = set(_asked(test, names))
        known = self.balances
        if (
            known
            and "check" not in asked
            and any(balance(each) in known or snake(each) in known for each in names)
        ):
            asked |= {"check", "look"}
        return asked

    def _add(self, func: ir.Func | None, event: Event) -> None:
        if func is not None and not (event.kind in {"take", "give"} and self._limits_rate(func)):
            self.own.setdefault(func, []).append(event)

    def _limits_rate(self, func: ir.Func) -> bool:
        """Whether a function keeps count of requests: what it takes comes back with time, and is nobody's."""
        return any(_RATE.search(each) for each in (func.name, self.ctx.program.module_of[func].path))

    def _propagated(self) -> dict[ir.Func, Kinds]:
        """The kinds of events in each function and in those it calls, up to `MAX_DEPTH` of them."""
        kinds = {func: frozenset(each.kind for each in events) for func, events in self.own.items()}
        edges = [
            (call.within, target.node)
            for call, targets in self.ctx.program.callees.items()
            for target in targets
            if call.within is not None and isinstance(target.node, ir.Func)
        ]
        edges += [(call.within, func) for call, func in self.handed if call.within is not None]
        inner = [each.within for each in self.ctx.program.callees]
        edges += [
            (each.within, each) for each in {*kinds, *inner} if each is not None and each.within is not None
        ]
        for _ in range(MAX_DEPTH):
            grown = dict(kinds)
            for caller, callee in edges:
                if callee in kinds:
                    grown[caller] = grown.get(caller, NOTHING) | kinds[callee]
            kinds = grown
        return kinds

    def events(self, func: ir.Func) -> list[Event]:
        """Everything in a function and the functions written inside it, its calls of helpers included, by line."""
        if func not in self._events:
            self._events[func] = self._found(func)
        return self._events[func]

    def _found(self, func: ir.Func) -> list[Event]:
        found: list[Event] = []
        for inner in ir.find(func, ir.Func):
            found.extend(self.own.get(inner, ()))
        for call in ir.find(func, ir.Call):
            for target in self.ctx.program.functions_called(call):
                kinds = self.kinds.get(target.node, NOTHING) if isinstance(target.node, ir.Func) else NOTHING
                found.extend(Event(kind, call, call.line, call.end) for kind in sorted(kinds))
        for call, helper in self.handed:
            if func in ir.ancestors(call):
                own = sorted(self.kinds.get(helper, NOTHING))
                found.extend(Event(kind, call, call.line, call.end) for kind in own)
        return sorted(dict.fromkeys(found), key=lambda each: (each.line, each.kind))


def _handed_over(ctx: Context, modules: list[Module]) -> Iterator[tuple[ir.Call, ir.Func]]:
    """The functions of the repository that `await asyncio.to_thread(reserve, …)` and its like wait for."""
    for module in modules:
        for call in module.calls(HANDING_ON.keys() - {"add_task"}) if module.language == "python" else ():
            given = handed_on(call)
            for each in ctx.program.resolve(module, given.func) if given is not None else ():
                if isinstance(each.node, ir.Func):
                    yield call, each.node


def _on_server(module: Module) -> bool:
    """Whether a file is no component of a page: what a browser asks or takes protects nothing."""
    page = module.path.endswith((".tsx", ".jsx")) or runs_in_browser(module)
    return not page or "use server" in module.file.text


def _knows_chains(module: Module) -> bool:
    """Whether a file asks a blockchain: balances there are what visitors own elsewhere, no credits of the product."""
    return any(_CHAINS.match(each.module) for each in module.all(ir.Import))


_CHAINS = re.compile(
    r"(viem|ethers|web3|wagmi|solana|solders|near-api-js|tonweb|tronweb)(/|\.|$)|@(solana|wagmi|mysten|ton|polkadot|aptos-labs)/"
)


def _of_wallet(names: Iterable[str]) -> bool:
    """Whether nothing but a balance is asked for."""
    return all("balance" in each for each in map(snake, names) if CREDIT.search(each))


def _asked(test: ir.Node, names: set[str]) -> Iterator[str]:
    """What a test with these names asks for; a limit counts as asked for where something is compared with it."""
    asked = NOTHING.union(*(_about(each) for each in names if " " not in each))
    if asked and any(map(_is_key, names)) and _is_setting(test, names):
        asked = NOTHING.union(*(_about(each) for each in names if " " not in each and not _is_key(each)))
    compared = any(map(_names_limit, names)) and any(
        each.op in ORDER
        and _LIMIT.search(snake(last_name(each.left) + " " + last_name(each.right)))
        and not isinstance(each.left, ir.Lit)
        and not isinstance(each.right, ir.Lit)
        for each in ir.find(test, ir.Bin)
    )
    for kind in ("check", "look"):
        if compared or kind in asked:
            yield kind


_LIMIT = re.compile(r"(?<!rate)(?<!rate_)(?<![a-z])limits?(?![a-z])")


@functools.cache
def _names_limit(name: str) -> bool:
    return "limit" in name.lower()


def _is_setting(test: ir.Node, names: set[str]) -> bool:
    """Whether a test asks for a key of the server's own, by its settings or a variable made of them."""
    made = [
        binding.value
        for each in ir.find(test, ir.Name)
        for binding in (_bound(each) if _is_key(each.id) else ())
        if binding.value is not None
    ]
    return any(not each.isdisjoint(_ENVIRONMENT) for each in (names, *map(names_in, made)))


def _bound(name: ir.Name) -> Iterator[ir.Assign]:
    """The assignments to a name in its own function."""
    for each in ir.find(name.within, ir.Assign) if name.within is not None else ():
        if isinstance(each.target, ir.Name) and each.target.id == name.id:
            yield each


@functools.cache
def _is_key(name: str) -> bool:
    return "apikey" in name.replace("_", "").lower()


_ENVIRONMENT = {"env", "environ", "getenv", "settings", "config", "Deno"}


@functools.cache
def _about(name: str) -> Kinds:
    """What a test of something with this name does: a check where it may be credits, a look where it may be money."""
    plain = snake(name)
    if not MONEY.search(plain):
        return NOTHING
    return frozenset({"check", "look"} if CREDIT.search(plain) else {"look"})


def named_kinds(call: ir.Call) -> tuple[str, ...]:
    """What a call does by its name, or by the name of the stored procedure that it runs; its sign may turn that."""
    func = call.func
    name = func.name if isinstance(func, ir.Attr) else func.id if isinstance(func, ir.Name) else ""
    if name == "rpc" and call.args:
        name = ir.text_of(call.args[0]) or ""
    meant = _meant(name)
    if meant and _CHANGES.match(snake(name)):
        changed = _changed_by(call)
        return (changed, "look") if changed else meant
    return meant


def kinds_of(ctx: Context, call: ir.Call) -> tuple[str, ...]:
    """What a call does by its name, or by the SQL of the stored function that it runs where its name tells nothing."""
    named = named_kinds(call)
    if {"give", "take"} & {*named}:
        return named
    stored = stored_kind(ctx, call)
    return (stored, "look") if stored else named


_CHANGES = re.compile(r"_?(update|adjust|change|modify|alter|apply|add|increment|increase|set)_")
"""How names begin of what lowers or raises as it is told: `updateCredits(user, -10)`."""


def _changed_by(call: ir.Call) -> str:
    """`take` where a value that a call is handed is negative or lowers a balance; else what a value is called."""
    given = arguments(call)
    for value in (*given, *(each.value for one in given if isinstance(one, ir.Obj) for each in one.props)):
        left = value.left if isinstance(value, ir.Bin) and value.op == "-" else None
        if is_negative(value) or (left is not None and CREDIT.search(snake(last_name(left)))):
            return "take"
    words = [
        snake(ir.text_of(each) or last_name(each)) for each in given if isinstance(each, ir.Lit | ir.Attr)
    ]
    said = {
        kind for kind, told in _SAYS.items() if any(told.search(each) for each in words if " " not in each)
    }
    return said.pop() if len(said) == 1 else ""


_SAYS = {
    "take": re.compile(
        r"(^|_)(outcome|debit|deduct|deduction|spend|spent|withdraw|withdrawal|expense|subtract)$"
    ),
    "give": re.compile(r"(^|_)(income|refund|deposit|top_?up|bonus|grant)$"),
}
"""Words by which a call is told what to do: `updateUserBalance(id, amount, PaymentType.MONEY_OUTCOME)`."""


@functools.cache
def _meant(name: str) -> tuple[str, ...]:
    plain = snake(name)
    kinds = []
    if _TAKES.search(plain):
        kinds.append("take")
    elif _GIVES.search(plain):
        kinds.append("give")
    elif "check" in _about(name) and not plain.startswith("set_"):
        kinds.append("check")
    if "look" in _about(name):
        kinds.append("look")
    return tuple(kinds)


def _of_statement(ctx: Context, statement: Statement) -> Iterator[tuple[ir.Func | None, Event]]:
    """What a statement does, and in which function: a column that a caller hands over is the caller's doing."""
    about = bool(CREDIT.search(snake(statement.table)))
    named = [
        each
        for each in statement.columns
        if CREDIT.search(snake(each.column)) or is_learned(ctx, statement, each.column)
    ]
    if about or named or any(MONEY.search(snake(each)) for each in (statement.table, *statement.where)):
        yield statement.func, Event("look", statement.node, statement.line, statement.end)
    if statement.kind != "write" or not (about or named):
        return
    if any(CREDIT.search(snake(each)) or is_learned(ctx, statement, each) for each in statement.where):
        yield statement.func, Event("check", statement.node, statement.line, statement.end)
    for use in named or statement.columns:
        signs = signs_of(ctx, statement, use)
        left = use.node is not None and is_called_new(use.node, use.column)
        back = {"give"} if named and not signs and not statement.insert and not left else set()
        for kind in sorted(
            {meaning(use.column, each) for each in signs} or back
        ):  # what is set to a former value is given back
            yield _place_of(statement, use, kind)


def _place_of(statement: Statement, use: ColumnUse, kind: str) -> tuple[ir.Func | None, Event]:
    """The function that sets a column, and the event there: its own call where it hands the column to a helper."""
    own = Event(kind, statement.node, statement.line, statement.end)
    setter = use.node.within if use.node is not None else None
    call = ir.enclosing(use.node, ir.Call) if use.node is not None else None
    if setter is None or call is None:
        return statement.func, own
    around = {setter, *ir.ancestors(setter)}
    if statement.func in around or (statement.func is not None and setter in ir.ancestors(statement.func)):
        return statement.func, own
    return setter, Event(kind, call, call.line, call.end)
