"""What a hostile reader could hold against a finding that is about to be printed: it stays in the JSON then.

Asked of those few only, and mostly by words: a doubt costs a place in the report, never a finding. What makes a
finding false belongs into its rule; which findings are grave, and which are one hole, is in `gravity`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import helpers_of, live_statements, runs_in_browser

DEPTH = 3
MOST_FUNCTIONS = 60
"""So many calls deep, and so many functions wide, what a handler does is read."""

_COMMENTS = re.compile(r"/\*.*?\*/|(?m:(^|\s)(//|#).*$)", re.S)


def is_disputed(ctx: Context, finding: Finding) -> bool:
    """Whether something stands in the source that makes a finding debatable, though it may well be true."""
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
    if module is None:
        return ""
    return "\n".join(module.lines[max(0, finding.line - 1 - before) : finding.end_line + after])


_ABSENT = re.compile(
    r"without a check that denies|asks nobody|turns nobody away|believes whoever|no signature is checked"
)
_DENIES = re.compile(
    r"\b40[13]\b|\w*unauthori[sz]ed|\w*forbidden|unauthenticated|hmac|timing_?safe|compare_digest|constructEvent"
    r"|(verif|validat|authenticat|authori[sz]|check|require|ensure|assert|guard|protect)\w{0,12}?_?"
    r"(auth|session|token|secret|webhook|signature|event|admin|access|permission|owner|login)",
    re.I,
)


def _may_deny(ctx: Context, finding: Finding) -> bool:
    """Somewhere on the way words stand that a refusal is made of: whether it refuses this is not understood."""
    return _ABSENT.search(finding.message) is not None and _DENIES.search(_all_code(ctx, finding)) is not None


_SERVES_ALL = re.compile(
    r"(^|[/_.-])(public|community|explore|feed|like|view|track|analytics|comment|event|share)s?([/_.-]|$)",
    re.I,
)


def _is_for_all(ctx: Context, finding: Finding) -> bool:
    """A place where members look at, or speak of, what others have made."""
    return " reads " in finding.message and _SERVES_ALL.search(finding.path) is not None


_OWNER = re.compile(r"without (\w+)")
_ROLES = re.compile(
    r"\b(is_?admin|admin\w*|role|roles|workspace\w*|tenant\w*|has_?access|can_?\w+)\b|own(er|s|ed)", re.I
)


def _may_compare(ctx: Context, finding: Finding) -> bool:
    """The owner, a role or the like is named on the way: something is compared, though not in this statement."""
    owner = _OWNER.search(finding.message)
    text = _all_code(ctx, finding)
    named = owner is not None and re.search(rf"\b{re.escape(owner.group(1))}\b", text) is not None
    return named or (owner is not None and _ROLES.search(text) is not None)


_COPIES = re.compile(
    r"upload|put_?object|arraybuffer|\.blob\(|writefile|iter_content|(copy|store|persist|save|mirror|rehost|download)"
    r"\w*(image|picture|photo|file|video|audio|asset|output|url|storage|bucket|s3|r2|blob)",
    re.I,
)


def _may_copy(ctx: Context, finding: Finding) -> bool:
    """The flat sentence, where something on the way copies files: perhaps this one."""
    flat = finding.message.endswith("keeps the provider's temporary address")
    return flat and _COPIES.search(_all_code(ctx, finding)) is not None


_MEANT = re.compile(
    r"don'?t (throw|fail|block|break)|do not (throw|fail|block|break)|non-?(fatal|blocking|critical)|best.?effort|"
    r"intentional|deliberate|on purpose|by design|optional|not critical|continue without|ignore",
    re.I,
)


_STORED_ANYWAY = re.compile(r"is only logged|only logs|the failed state cannot be written|is answered as if")


def _may_be_told(_ctx: Context, finding: Finding) -> bool:
    """A failure that is logged: whether it is also told, or mended elsewhere, takes knowledge of what it is for."""
    return _STORED_ANYWAY.search(finding.message) is not None


def _is_meant(ctx: Context, finding: Finding) -> bool:
    """The source says beside it that it is meant so."""
    return _MEANT.search(_near(ctx, finding)) is not None


_ALPHA = re.compile(r"\b(alpha|beta|free (trial|plan|tier|for now)|no payment|early access)\b", re.I)


def _is_free(ctx: Context, finding: Finding) -> bool:
    """The source says beside it that nothing is paid for this yet."""
    return (
        "gives what is paid for" in finding.message and _ALPHA.search(_near(ctx, finding, 12, 12)) is not None
    )


_BOUND = re.compile(r"\b[A-Z][A-Z_]*(PRICE|PACK|PLAN|TIER)[A-Z_]*\s*[\[.(]|refund", re.I)


def _may_be_bound(ctx: Context, finding: Finding) -> bool:
    """A table of prices, or a giving back, on the way of what the request is said to choose freely."""
    chosen = "as many credits as the request says" in finding.message or "how many credits" in finding.message
    return chosen and _BOUND.search(_all_code(ctx, finding)) is not None


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
    """What is written into data to try things out."""
    return _SETS_UP.search(finding.path) is not None


_STRONG = re.compile(
    r"REPLICATE|OPENAI|SERVICE_?ROLE|SERVICE_KEY|STRIPE_SECRET|NEXTAUTH_SECRET|PRIVATE", re.I
)


def _may_stay_here(ctx: Context, finding: Finding) -> bool:
    """A public variable of which only server code is known to make use, or whose service means browsers to have it."""
    module = ctx.program.modules.get(finding.path)
    public = finding.message.endswith("is a secret in a public variable")
    return public and not (_STRONG.search(finding.key) or (module is not None and runs_in_browser(module)))


def _is_of_a_class(_ctx: Context, finding: Finding) -> bool:
    """A method that a class has not, where what is asked may be what a call of it gives back."""
    return finding.message.startswith("the class ")


def _is_asked_for(ctx: Context, finding: Finding) -> bool:
    """A name whose being there is asked for before it is used."""
    return re.search(r"\bin (dir|globals|locals|vars)\(\)|typeof ", _near(ctx, finding, 1, 1)) is not None


_DOUBTS: dict[str, tuple[Callable[[Context, Finding], bool], ...]] = {
    "missing-auth": (_may_deny,),
    "webhook-unverified": (_may_deny,),
    "idor": (_is_for_all, _may_compare),
    "temporary-url-persisted": (_may_copy,),
    "fallback-swallow": (_may_be_told, _is_meant),
    "credit-before-check": (_is_free, _may_be_bound),
    "stuck-status": (_may_be_swept,),
    "secret-in-repo": (_is_set_up,),
    "client-exposed-token": (_may_stay_here,),
    "undefined-name": (_is_of_a_class, _is_asked_for),
}
