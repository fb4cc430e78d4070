"""How grave a finding is, and which findings the report prints: the one home of the ranking.

A rule gives its finding a weight; here it is put in order with those of other rules. What is printed is few and grave:
a hole is told once, and what is true but petty stays in the JSON.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.unserved import ROUTERS
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.doubts import is_disputed

RANKED = 10
"""How many findings the report prints."""
WORTH_PRINTING = 20
"""Findings lighter than this are in the JSON only."""
BARELY = 19
"""The weight of what is true and petty, or told by another section: it is never printed."""
MOST = 3
"""How many findings of one rule the report prints."""
GRAVE = 60
"""Of one rule's findings that are lighter than this the report prints two."""
LIGHT = 42
"""Findings lighter than this stand for all of their rule, and come after the next class: the report prints one."""

STRANGER, LOST, STATE, STYLE = range(4)
"""What anybody can do to money, faces and models; what is lost or paid twice; states that lie; the rest."""

CLASSES = {
    "missing-auth": STRANGER,
    "webhook-unverified": STRANGER,
    "secret-in-repo": STRANGER,
    "client-exposed-token": STRANGER,
    "idor": STRANGER,
    "stuck-status": STATE,
    "fallback-swallow": STATE,
    "schema-drift": STATE,
    "mock-data": STATE,
    "time-progress": STATE,
    "broken-import": STATE,
    "payload-conflict": STYLE,
    "hardcoded-owner": STYLE,
    "env-undeclared": STYLE,
    "env-unused": STYLE,
}
"""The class of each rule; a rule that is not here tells of models, pictures or credits that are lost."""

GENERAL = {
    "broken-import",
    "schema-drift",
    "mock-data",
    "fallback-swallow",
    "env-undeclared",
    "column-mismatch",
    "shared-mutable-default",
}
"""Rules that also judge code with nothing to do with the provider: there they weigh less."""
FAR_FROM_IT = 30
_SOLD = re.compile(r"stripe|paypal|razorpay|paddle|lemon-?squeezy|checkout|billing|payments?\b", re.I)
"""Where money comes in, what fails is not far from the product either."""

_GIFTS = {"credit-before-check": 70, "missing-auth": 78}
_GIVES = re.compile(
    r"\b(adds as many|gives (what is paid for|credits)|adds to \S*(credit|balance|token|coin))", re.I
)
"""What gives away what others pay for, from such a weight of its rule on: as grave as an open way to paid work."""
KEYS = 79
"""A committed key stands behind ways in that need none, but for one that opens all of a database."""
_OPENS_ALL = re.compile(r"^a (service-role|database)")
_DEAR = re.compile(
    r"trainings|train(er|ing)?\b(?!/status)|dreambooth|payment|purchase|checkout|billing|credits|subscri",
    re.I,
)
_TRIES = re.compile(r"(^|[/_.-])(test|debug|demo|example|sample|playground)s?([/_.-]|$)", re.I)
"""Of findings alike, what concerns a training or a payment comes first, and places to try things out come last."""

IN_SCRIPTS = {"secret-in-repo", "client-exposed-token"}
"""Rules whose findings are as grave in a script as in the product."""
_CONFIGURES = re.compile(r"(^|/)(\.\w[\w-]*/.*|(playwright|vitest|jest|cypress|eslint)\.config\.\w+)$")


def ranked(ctx: Context, found: list[Finding]) -> list[Finding]:
    """The findings, gravest first, the first ten that are worth it with their ranks.

    By class (what a stranger can do, what is lost, states, the rest), then by weight. No rule has more than three of
    the ten, a lighter one no more than two or one; what stands in scripts beside a product is left to the JSON, but for
    secrets.
    """
    near = {each.path for each in ctx.of("file.touches_replicate", "replicate.call", "http", "webhook")}
    near |= {ctx.program.module_of[func].path for flow in ctx.flows for func in flow.funcs}

    def weight(each: Finding) -> int:
        sold = each.rule == "fallback-swallow" and _SOLD.search(each.path) is not None
        far = each.rule in GENERAL and each.path not in near and not sold
        return each.weight - (FAR_FROM_IT if far else 0)

    def order(each: Finding) -> tuple[int, int, int, str, int, str, str]:
        own = weight(each)
        gift = each.rule in _GIFTS and own >= _GIFTS[each.rule] and _GIVES.search(each.message) is not None
        later = STRANGER if gift else CLASSES.get(each.rule, LOST) + (own < LIGHT)
        if each.rule == "secret-in-repo" and not _OPENS_ALL.search(each.message):
            own = min(own, KEYS)
        return (later, -own - 10 * gift, _of_its_kind(each), each.path, each.line, each.rule, each.key)

    apart, unserved = _scripts(ctx), _unserved(ctx)
    printable = {
        id(each)
        for each in found
        if weight(each) >= WORTH_PRINTING
        and not _is_never_read(ctx, each)
        and (each.path not in apart or each.rule in IN_SCRIPTS)
        and (each.path not in unserved or each.rule == "secret-in-repo")
        and (_stands_anyway(each) or not _is_dead(ctx, each))
    }
    return _with_ranks(ctx, sorted(found, key=order), printable)


def _of_its_kind(finding: Finding) -> int:
    """The order of findings of one weight, gravest place first."""
    if _TRIES.search(finding.path):
        return 2
    return 0 if _DEAR.search(finding.message) or _SOLD.search(finding.path) else 1


def _is_never_read(ctx: Context, finding: Finding) -> bool:
    """Whether an address goes into a table that no live code reads: nobody comes by it when it has expired."""
    table, _, column = finding.key.partition(".")
    if finding.rule != "temporary-url-persisted" or not column or not finding.message.startswith(finding.key):
        return False
    sources = {each.source for each in ctx.tables.get(table, ())}
    if not sources or not sources <= {"create table", "alter table"}:
        return False  # a mapper reads it with the rows that it belongs to, or nobody knows what it is
    written = ctx.once(_tables_by_use)
    beside = re.compile(rf"[,\"'`]\s*(\w+:)?{re.escape(table)}(!\w+)?\s*\(")  # `select("*, pictures(*)")`
    embedded = (each for each in ctx.live if table in each.file.text and beside.search(each.file.text))
    return table in written["write"] and table not in written["read"] and next(embedded, None) is None


def _tables_by_use(ctx: Context) -> dict[str, set[str]]:
    """The tables that live code writes, and those that it reads."""
    found: dict[str, set[str]] = {"write": set(), "read": set(), "delete": set()}
    for each in ctx.statements:
        if ctx.role_at(each.module, each.node) in LIVE_ROLES:
            found[each.kind].add(each.table)
    return found


_OF_DEAD_CODE = {"broken-import", "schema-drift", *IN_SCRIPTS}
"""Rules that tell of what stands in the source, whether or not anything reaches it."""


def _stands_anyway(finding: Finding) -> bool:
    """Whether a finding is of what stands in the source; what is signed where nothing comes is signed by nobody."""
    return finding.rule in _OF_DEAD_CODE and "what it signs" not in finding.message


def _is_dead(ctx: Context, finding: Finding) -> bool:
    """Whether a finding stands where nothing can come, as the facts say."""
    module = ctx.program.modules.get(finding.path)
    if module is None or module.role != "src":
        return False
    around = [each for each in module.all(ir.Func) if each.line <= finding.line <= each.end]
    inner = max(around, key=lambda each: (each.line, -each.end), default=None)
    return ctx.role_at(module, inner or module.body) == "dead"


def _scripts(ctx: Context) -> set[str]:
    """The files that nobody but their owner runs, in a repository whose paid calls stand elsewhere.

    No import can name a Python file with a dash in its name.
    """
    apart = {each.path for each in ctx.modules if each.role != "src" or _CONFIGURES.search(each.path)}
    apart |= {
        each.path
        for each in ctx.modules
        if each.language == "python" and not PurePosixPath(each.path).stem.replace(".", "_").isidentifier()
    }
    return apart if any(each.module.path not in apart for each in ctx.calls) else set()


_SERVES = re.compile(r"include_router|register_blueprint|\.mount\(|import_module|pkgutil|add_url_rule")
_BY_PLACE = re.compile(r"import_module|pkgutil|__import__|glob\(|listdir|walk_packages")
"""What may put routers into an application that no import names."""


def _unserved(ctx: Context) -> set[str]:
    """Python files with routers that no other file can put into an application: none that serves imports them."""
    serving = [each for each in ctx.modules if each.language == "python" and _SERVES.search(each.file.text)]
    if not serving or any(_BY_PLACE.search(each.file.text) for each in serving):
        return set()
    served = {each.path for each in serving}
    lost = {name for each in serving for name in _lost_imports(ctx, each)}
    made = [each for each in ctx.modules if any(one.within is None for one in each.calls(ROUTERS))]
    return {
        each.path
        for each in made
        if PurePosixPath(each.path).stem not in lost and not _is_within(ctx, each.path, served)
    }


def _lost_imports(ctx: Context, module: Module) -> set[str]:
    """The last names of the imports of which nobody knows where they lead: they may be any file of that name."""
    found = ctx.program.resolver
    lost = (
        each
        for each in module.all(ir.Import)
        if found.resolve(module.path, each.module, module.language) is None
    )
    return {
        word for each in lost for word in (each.module.rpartition(".")[2], *(name for name, _ in each.names))
    }


def _is_within(ctx: Context, path: str, served: set[str]) -> bool:
    """Whether a file is one of those that serve, or is imported by one, or by what one imports."""
    seen, pending = {path}, [path]
    while pending:
        here = pending.pop()
        if here in served:
            return True
        more = ctx.reached.importers.get(here, set()) - seen
        seen |= more
        pending.extend(more)
    return False


def _with_ranks(ctx: Context, ordered: list[Finding], printable: set[int]) -> list[Finding]:
    """The findings with their ranks; one that can be disputed has none.

    One that says what a ranked one says is a further place of that, another open way of its file too; one that is
    the same hole as a ranked one, or follows from it (its place is the evidence), needs no rank of its own.
    """
    counts: dict[str, int] = {}
    said: dict[tuple[str, str], int] = {}
    places: set[tuple[str, Place]] = set()
    out: list[Finding] = []
    told: list[Finding] = []
    for each in ordered:
        most = MOST if each.weight >= GRAVE else 2 if each.weight >= LIGHT else 1
        most = 1 if each.rule in _ONCE else most
        alike = [(each.rule, words) for words in (each.message, _alike(each))]
        first = next((said[one] for one in alike if one in said), None)
        follows = any((each.rule, place) in places for place in each.evidence)
        named = any(one.rule == each.rule and each.place in one.evidence for one in told)
        if follows or named or _is_told(each, told):
            out.append(each)
        elif first is not None:
            out[first] = replace(out[first], evidence=(*out[first].evidence, each.place))
            out.append(each)
        elif (
            len(told) < RANKED
            and counts.get(each.rule, 0) < most
            and id(each) in printable
            and not is_disputed(ctx, each)
        ):
            said[each.rule, each.message] = said[each.rule, _alike(each)] = len(out)
            counts[each.rule] = counts.get(each.rule, 0) + 1
            places.add((each.rule, each.place))
            told.append(each)
            out.append(replace(each, rank=len(told)))
        else:
            out.append(each)
    return out


def _alike(finding: Finding) -> str:
    """What open ways of one file have in common, whose guard is missing in one place: all but the route's own name."""
    head = _OWN_NAME.match(finding.message) if finding.rule == "missing-auth" else None
    if head is None:
        return finding.message
    said = finding.message[head.end() :]
    return f"{finding.path}:{'changes' if _CHANGES.match(said) else said}"


_CHANGES = re.compile(r"(changes|adds to|deletes from) .* and asks nobody$")
_OWN_NAME = re.compile(r"(ACTION |[A-Z]+ /)\S* ")


def _is_same_route(first: Finding, other: Finding) -> bool:
    """Whether two files of one name tell of the same route: `server.js` and `backend/server.js`, of which one runs."""
    route = _ROUTE.match(first.message)
    named = PurePosixPath(first.path).name == PurePosixPath(other.path).name
    return route is not None and named and other.message.startswith(f"{route.group()} ")


def _is_same_habit(first: Finding, other: Finding) -> bool:
    """Whether two files' findings of one rule come from the same further line: there both are mended."""
    shared = not set(first.evidence).isdisjoint(other.evidence)
    return shared and (first.rule not in _EACH_ITS_OWN or _same_end(first, other))


def _same_end(first: Finding, other: Finding) -> bool:
    """Whether two open ways lead to one paid call: the graver stands for both."""
    return (
        " reaches " in first.message
        and " reaches " in other.message
        and first.evidence[-1:] == other.evidence[-1:]
    )


_THING = re.compile(r"lets members set .* of their own row in \S+|service[-_ ]role", re.I)
"""A hole in the database, and a key to it, that files tell again: a later migration, an example, a script."""


def _same_thing(first: Finding, other: Finding) -> bool:
    told, again = _THING.search(first.message), _THING.search(other.message)
    if told is None or again is None:
        return False
    return _words_of(told.group()) == _words_of(again.group())


def _words_of(text: str) -> str:
    return re.sub(r"[-_ ]", "", text.lower())


_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) /\S+")
_ONCE = {"shared-destination"}
"""Rules whose findings are one thing in one product, however many routes lead there."""
_EACH_ITS_OWN = {
    "missing-auth",
    "webhook-unverified",
    "credit-before-check",
    "secret-in-repo",
    "schema-drift",
}
"""Rules of which a file can hold several holes: what it tells of any other is one habit, mended in one way."""
_SAME_LITERAL = {"shared-destination", "hardcoded-owner"}
_SAME_HOLES = (
    {"missing-auth", "idor"},
    {"webhook-unverified", "idor"},
    {"webhook-unverified", "missing-auth"},
    {"missing-auth", "null-composite"},
    {"no-retry", "null-composite"},
)
"""Rules that tell of one hole where their lines meet: who asks nobody compares nobody, and has nobody's id.

A service that calls back has no user, so that an owner is not what its handler lacks.
"""
_NOBODY_PAYS = {"missing-auth", "credit-before-check"}
_IS_OPEN = re.compile(r"nothing on the way asks for credits")
"""Where nobody is asked who he is, nobody is asked for credits either."""
BESIDE = 3
"""So many lines apart two findings of one rule in one function are one statement's, or one thought's."""
SAME_WORDS = 24
"""Two findings of one rule in one function whose messages begin with as many letters alike are one, too."""


def _is_told(finding: Finding, told: list[Finding]) -> bool:
    """Whether a ranked finding tells of the same hole: who mends the one has mended the other."""
    for each in told:
        if each.path != finding.path:
            if each.rule == finding.rule and (_is_same_route(each, finding) or _is_same_habit(each, finding)):
                return True
            if each.rule == finding.rule and _same_thing(each, finding):
                return True
            continue
        if each.rule == finding.rule and (_same_end(each, finding) or _same_thing(each, finding)):
            return True
        pair = {each.rule, finding.rule}
        within = each.line <= finding.end_line and finding.line <= each.end_line
        if len(pair) == 1 and each.rule not in _EACH_ITS_OWN:
            return True
        if pair == _SAME_LITERAL or (within and pair in _SAME_HOLES):
            return True
        if within and pair == _NOBODY_PAYS and _IS_OPEN.search(finding.message):
            return True
        one = finding.scope != "" and each.scope == finding.scope
        near = abs(each.line - finding.line) <= BESIDE
        if one and len(pair) == 1 and (near or each.message[:SAME_WORDS] == finding.message[:SAME_WORDS]):
            return True
        if one and pair in _SAME_HOLES and finding.rule == "null-composite":
            return True
    return False
