"""What a hostile reader could hold against a finding that is about to be printed: it stays in the JSON then.

Asked of those few only, and mostly by words: a doubt costs a place in the report, never a finding. What makes a
finding false belongs into its rule; which findings are grave, and which are one hole, is in `gravity`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import PurePosixPath

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import helpers_of, live_statements, runs_in_browser
from portraitist.audit.rules.judged import is_printed
from portraitist.audit.rules.names.run_by_nobody import is_run_by_nobody
from portraitist.audit.rules.open_ways.meant import counts_visits
from portraitist.audit.rules.read_columns import is_read

DEPTH = 3
MOST_FUNCTIONS = 60
"""So many calls deep, and so many functions wide, what a handler does is read."""

_COMMENTS = re.compile(r"/\*.*?\*/|(?<![:\w\"'])(//|#)[^\n]*", re.S)


def is_disputed(ctx: Context, finding: Finding) -> bool:
    """Whether something stands in the source that makes a finding debatable, though it may well be true."""
    if not is_printed(finding.rule, finding.message, finding.path):
        return True
    return any(doubt(ctx, finding) for doubt in _DOUBTS.get(finding.rule, ()))


def _functions(ctx: Context, finding: Finding) -> list[ir.Func]:
    """The functions that a finding is about, and what they call, the nearest first."""
    module = ctx.program.modules.get(finding.path)
    if module is None:
        return []
    begun = [each for each in module.all(ir.Func) if finding.line <= each.line <= finding.end_line]
    around = module.function_at(finding.line)
    layer = begun or ([around] if around is not None else [])
    found = dict.fromkeys(layer)
    for _ in range(DEPTH):
        layer = [each for func in layer for each in helpers_of(ctx, func) if each not in found]
        found.update(dict.fromkeys(layer))
        if len(found) > MOST_FUNCTIONS:
            break
    return [*found][:MOST_FUNCTIONS]


def _code(module: Module, first: int, last: int) -> str:
    return _COMMENTS.sub(" ", "\n".join(module.lines[first - 1 : last]))


def _all_code(ctx: Context, finding: Finding) -> str:
    """The text of all that a finding's handler does, without comments."""
    return ctx.once(_joined, tuple(_functions(ctx, finding)))


def _joined(ctx: Context, funcs: tuple[ir.Func, ...]) -> str:
    return "\n".join(_code(ctx.program.module_of[each], each.line, each.end) for each in funcs)


def _near(ctx: Context, finding: Finding, before: int = 3, after: int = 3) -> str:
    """The lines around a finding, their comments too."""
    module = ctx.program.modules.get(finding.path)
    files = (*ctx.tree.files, *ctx.tree.others) if module is None else ()
    text = next((each.text for each in files if each.path == finding.path), "")
    lines = text.split("\n") if module is None else module.lines
    return "\n".join(lines[max(0, finding.line - 1 - before) : finding.end_line + after])


_ABSENT = re.compile(
    r"without a check that denies|asks nobody|turns nobody away|believes whoever|no signature is checked"
)
_DENIES = re.compile(
    r"\b(40[13]|429)\b|rate_?limit|unauthori[sz]ed|forbidden|unauthenticated|hmac|timing_?safe|compare_digest|constructEvent"
    r"|(verif|validat|authenticat|authori[sz]|check|require|ensure|assert|guard|protect)\w{0,12}?_?"
    r"(auth|session|token|secret|webhook|signature|event|admin|access|permission|owner|login)",
    re.I,
)


def _may_deny(ctx: Context, finding: Finding) -> bool:
    """Somewhere on the way words stand that a refusal is made of: whether it refuses this is not understood."""
    return _ABSENT.search(finding.message) is not None and _DENIES.search(_all_code(ctx, finding)) is not None


_KNOWN_TO_ONE = re.compile(
    r"(^|_)(licen[sc]e(_?key|_?code)?|api_?key|access_?(key|code|token)|secret|token|otp|invite_?(code|token)|voucher"
    r"|(magic|share|public|upload|reset|download)_?(token|code|key))(_hash)?$"
)
"""Columns, in snake case, whose value only those know who were told it."""


def _may_know(ctx: Context, finding: Finding) -> bool:
    """Rows are asked for on the way by what only one of the members knows: a licence's key, a link's code."""
    if _ABSENT.search(finding.message) is None:
        return False
    return any(
        _KNOWN_TO_ONE.search(snake(column))
        for func in _functions(ctx, finding)
        for statement in ctx.statements_under.get(func, ())
        for column in statement.where
    )


_SERVES_ALL = re.compile(
    r"(^|[/_.-])(public|community|explore|feed|like|view|track|analytics|comment|event|share|activity|ping|heartbeat)s?([/_.-]|$)",
    re.I,
)


def _is_for_all(ctx: Context, finding: Finding) -> bool:
    """A place where members look at, or speak of, what others have made."""
    looks = (
        " reads " in finding.message
        or " adds to " in finding.message
        or _COUNTS.search(finding.path) is not None
    )
    return looks and _SERVES_ALL.search(finding.path) is not None


_DECLARED = re.compile(
    r"no auth\w* (is )?(required|needed)|@?public[- ](end-?point|route|api|demo|by design)"
    r"|open to (all|every)|public(ly)? read\b"
    r"|without auth",
    re.I,
)


def _is_declared(ctx: Context, finding: Finding) -> bool:
    """The source says that whoever comes may ask here."""
    return _DECLARED.search(_near(ctx, finding, 12, 4)) is not None


_LIKED = re.compile(r"(^|[/_.-])(like|vote|clap|favou?rite|follow|view|rate|rating)s?([/_.-]|$)", re.I)


def _is_of_others(_ctx: Context, finding: Finding) -> bool:
    """A place whose very purpose is the rows of others: to like them, to count who looked."""
    return _LIKED.search(finding.path) is not None


_COLUMN_OF = re.compile(r"lets members set (.*) of their own row in (\w+)$")
_ASIDE = re.compile(r"(^|/)[\w-]*(deploy(ment)?|temp|tmp|dist|release|package)[\w-]*/")


def _is_left_behind(ctx: Context, finding: Finding) -> bool:
    """A table that no code names any more, or columns that nothing asks, though their policies are as open as ever."""
    told = _COLUMN_OF.search(finding.message) if ctx.statements else None
    if told is None:
        return False
    table, mapped = re.escape(told.group(2)), told.group(2).replace("_", "").removesuffix("s")
    named = re.compile(
        rf"([\"'`]|(?<!stripe)\.|rest/v1/){table}(?![\w/-])|[\s,]{table}(!\w+)?\(|\b(prisma|db|tx)\.{mapped}s?\b",
        re.I,
    )
    if not any(named.search(each.file.text) for each in ctx.once(_originals)):
        return True
    return not any(_is_asked_of(ctx, each, told.group(2)) for each in told.group(1).split(", "))


def _originals(ctx: Context) -> list[Module]:
    """The live files, but for those that a folder for what is sent out holds once more: `deployment/api/users.js`."""
    names = Counter(_tail(each.path) for each in ctx.live)
    return [each for each in ctx.live if not _ASIDE.search(each.path) or names[_tail(each.path)] < 2]


def _tail(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts[-2:]


def _is_asked_of(ctx: Context, column: str, table: str) -> bool:
    """Whether anything may ask a column of members; a role that a page fills in is what they do for a living."""
    spoken = column == "role" and any(
        each.table == table
        and runs_in_browser(each.module)
        and column in {one.column for one in each.columns}
        for each in live_statements(ctx, "write")
    )
    return not spoken and is_read(ctx, column)


_COUNTS = re.compile(r"view|activity|track|ping|heartbeat|event", re.I)
_CALLBACK = re.compile(r"web_?hook|callback", re.I)


def _is_called_back(_ctx: Context, finding: Finding) -> bool:
    """A service calls here: that it signs nothing is another rule's."""
    return _CALLBACK.search(finding.path) is not None or _CALLBACK.search(finding.message) is not None


_ACTION = re.compile(r"ACTION (\w+)")


def _may_be_unused(ctx: Context, finding: Finding) -> bool:
    """A server action that no other file names but routes of the API: what no page imports, Next may not serve."""
    named = _ACTION.match(finding.message)
    if named is None:
        return False
    word = re.compile(rf"\b{named.group(1)}\b")
    others = [each for each in ctx.live if each.path != finding.path and not _OF_API.search(each.path)]
    return not any(word.search(each.file.text) for each in others)


_OF_API = re.compile(r"(^|/)(pages/api/|app/(?:.*/)?route\.[jt]sx?$)")


def _only_counts(ctx: Context, finding: Finding) -> bool:
    """What is changed is how often something was looked at, and nothing else: whoever looks may do so."""
    inside = set(_functions(ctx, finding))
    table = re.search(r" changes (\S+) by ", finding.message)
    asked = [
        each
        for each in live_statements(ctx, "write")
        if table is not None and each.table == table.group(1) and each.func in inside
    ]
    return bool(asked) and all(each.func is not None and counts_visits(each.func, each) for each in asked)


_OWNER = re.compile(r"without (\w+)")
_ROLES = re.compile(
    r"\b(is_?admin|admin\w*|role|roles|workspace\w*|tenant\w*|has_?access|can_?\w+|403|forbidden)\b|own(er|s|ed)",
    re.I,
)


def _may_compare(ctx: Context, finding: Finding) -> bool:
    """The owner, a role or a refusal is named on the way: something is compared, though not in this statement."""
    owner = _OWNER.search(finding.message)
    text = _all_code(ctx, finding)
    named = owner is not None and re.search(rf"\b{re.escape(owner.group(1))}\b", text) is not None
    return named or _ROLES.search(text) is not None


_MEANT = re.compile(
    r"don'?t (throw|fail|block|break)|do not (throw|fail|block|break)|non-?(fatal|blocking|critical)|best.?effort|"
    r"intentional|deliberate|on purpose|by design|optional|not critical|continue without|ignore",
    re.I,
)


def _is_meant(ctx: Context, finding: Finding) -> bool:
    """The source says beside it that it is meant so."""
    return _MEANT.search(_near(ctx, finding)) is not None


_SWEEPS = re.compile(
    r"stuck|stale|sweep|recover|clean_?up|time_?d?_?out|reconcil|expire|cron|orphan|reap|janitor", re.I
)


def _may_be_swept(ctx: Context, finding: Finding) -> bool:
    """Something that by its name ends what hangs writes the table."""
    words = set(re.findall(r"[\w-]+", finding.message)) | {finding.key.partition(".")[0]}
    return not words.isdisjoint(ctx.once(_swept))


def _swept(ctx: Context) -> set[str]:
    """The tables that are written where names speak of what hangs."""
    return {
        each.table
        for each in live_statements(ctx, "write", "delete")
        if _SWEEPS.search(each.module.path)
        or (each.func is not None and _SWEEPS.search(each.func.name or ""))
    }


_SETS_UP = re.compile(r"(^|[/_.-])(seed|test|tests|fixture|example|sample|demo)s?([/_.-]|$)", re.I)


def _is_set_up(_ctx: Context, finding: Finding) -> bool:
    """What is written into data to try things out, or is named for that."""
    return _SETS_UP.search(finding.path) is not None or _TRIED.search(finding.message) is not None


_LACKS = re.compile(r"has no column ([\w, ]+) in any definition$")


def _may_not_be_sent(ctx: Context, finding: Finding) -> bool:
    """Columns that a handler writes only where its caller sends them, and no page that names its address names them."""
    lacks = _LACKS.search(finding.message)
    own = [each for each in ctx.routes if each.module.path == finding.path and each.is_http] if lacks else []
    text = _all_code(ctx, finding) if own else ""
    for column in lacks.group(1).split(", ") if lacks else ():
        given = rf"\b{re.escape(column)}\b"
        if not re.search(rf"\(?{given}\s*!==?\s*(undefined|null)\b|\bif\s+{given}\s+is\s+not\s+None\b", text):
            return False
        paths = {each.path.partition("[")[0].partition("{")[0].rstrip("/") for each in own}
        others = (each.file.text for each in ctx.live if each.path != finding.path)
        if any(re.search(given, each) and any(one in each for one in paths) for each in others):
            return False
    return bool(own)


_TRIED = re.compile(
    r"local_?dev|development|VERIFY_TOKEN|(?<![a-z])(dev|test|demo|sample|dummy|placeholder)", re.I
)
_REFUSED = re.compile(r"\b429\b|rate_?limit|too_?many", re.I)
_BROKEN = re.compile(
    r"\b5(\d\d|xx)\b|>=\s*500|(?<!set)time_?d?_?out|econn|network|socket|fetch failed|connection", re.I
)


def _may_be_refused(ctx: Context, finding: Finding) -> bool:
    """What is repeated may be what was refused for its number only, which starts and costs nothing."""
    texts = [_all_code(ctx, finding)]
    for place in finding.evidence:
        module = ctx.program.modules.get(place.path)
        func = module.function_at(place.line) if module is not None else None
        if module is not None and func is not None:
            texts.append(_code(module, func.line, func.end))
    text = "\n".join(texts)
    return _REFUSED.search(text) is not None and _BROKEN.search(text) is None


_STRONG = re.compile(
    r"REPLICATE|OPENAI|SERVICE_?ROLE|SERVICE_KEY|STRIPE_SECRET|NEXTAUTH_SECRET|PRIVATE", re.I
)


def _may_stay_here(ctx: Context, finding: Finding) -> bool:
    """A public variable of which only server code is known to make use, or whose service means browsers to have it."""
    module = ctx.program.modules.get(finding.path)
    public = finding.message.endswith("is a secret in a public variable")
    return public and not (_STRONG.search(finding.key) and module is not None and runs_in_browser(module))


def _is_asked_for(ctx: Context, finding: Finding) -> bool:
    """A name whose being there is asked for before it is used."""
    return re.search(r"\bin (dir|globals|locals|vars)\(\)|typeof ", _near(ctx, finding, 1, 1)) is not None


_DOUBTS: dict[str, tuple[Callable[[Context, Finding], bool], ...]] = {
    "missing-auth": (
        _may_deny,
        _may_know,
        _is_for_all,
        _is_declared,
        _is_called_back,
        _may_be_unused,
        _is_left_behind,
    ),
    "webhook-unverified": (_may_deny,),
    "idor": (_is_for_all, _is_of_others, _may_compare, _only_counts),
    "fallback-swallow": (_is_meant,),
    "blind-post-retry": (_may_be_refused,),
    "stuck-status": (_may_be_swept,),
    "secret-in-repo": (_is_set_up,),
    "client-exposed-token": (_may_stay_here,),
    "undefined-name": (_is_asked_for, is_run_by_nobody),
    "schema-drift": (_may_not_be_sent,),
}
