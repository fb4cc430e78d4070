"""Ways to a paid call, to the provider or to members' rows that nobody guards: routes, actions, functions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts import flows
from portraitist.audit.facts.asking import AND, joined
from portraitist.audit.facts.auth import asks_who
from portraitist.audit.facts.base import Context, ProviderCall, Route
from portraitist.audit.facts.denial import denies, is_guard_name, refuses_in
from portraitist.audit.facts.flows import Flow, answers_at_once
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding, helpers_of, is_readable, names_in, place, unguarded
from portraitist.audit.rules.evaluator import SLOW
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways import (
    open_bots,
    open_data,
    open_database,
    open_deeds,
    open_guards,
    open_rest,
    open_rows,
    open_rules,
    open_tables,
    open_uploads,
)
from portraitist.audit.rules.open_ways.actions import behind_page
from portraitist.audit.rules.open_ways.believed_logins import believed_logins
from portraitist.audit.rules.open_ways.believed_tokens import believed_tokens
from portraitist.audit.rules.open_ways.limits import limit_before
from portraitist.audit.rules.open_ways.middleware import HANDS_OUT, lets_nobody_in, middleware_files
from portraitist.audit.rules.open_ways.open_files import TAKES, Deed
from portraitist.audit.rules.open_ways.passed_guards import past_guards
from portraitist.audit.rules.open_ways.payment_returns import is_payment_return
from portraitist.audit.rules.others import mail_addresses, view_classes
from portraitist.audit.rules.requests import within_reach
from portraitist.audit.rules.senders.verified import verifies
from portraitist.audit.rules.states.marks import WAITED_FOR
from portraitist.audit.rules.syntax import leaves_in_production

LIMITED = 66
"""The weight of paid work that anybody may have, but not as often as they like."""


def missing_auth(ctx: Context) -> Iterator[Finding]:
    """A live HTTP route or server action that asks nobody who calls, and pays, deletes, or serves members.

    It deletes at the provider, or it reads or changes a row of a member by an id that the request names, or asks the
    provider for what has that id while other routes are guarded (`open_data`).
    Also what the database leaves open to browsers that ask it directly (`open_database`, `open_tables`, `open_rules`),
    bots whose handlers pay for whoever writes (`open_bots`), a library's upload routes (`open_uploads`), what memory
    keeps for whoever has its id (`memory`), a function that takes its caller's name out of a token whose signature
    nobody checks (`believed_tokens`), a login without a proof (`believed_logins`), a guard of paid work that lets
    everybody pass (`open_guards`), guards that a stranger gets past (`passed_guards`), view classes that ask nobody
    (`view_classes`), and lists with members' addresses (`mail_addresses`).
    And whatever reads or changes an office's rows or raises a balance (`open_rows`), the rows of open paid work, and
    what else is kept (`open_rest`).
    Work that is paid with a key of the request alone is its caller's.
    Guards that a proxy or platform puts in front are not seen; routes under a Next middleware that denies
    are reported as unresolved instead. Such a middleware covers no server action where it leaves a page open.
    """
    yield from believed_tokens(ctx)
    yield from believed_logins(ctx)
    yield from open_database.left_open(ctx)
    yield from open_tables.without_policies(ctx)
    yield from open_rules.rules_left_open(ctx)
    ajar = list(open_guards.left_ajar(ctx))
    yield from ajar
    yield from past_guards(ctx, ajar, behind_middleware)
    yield from open_bots.open_bots(ctx)
    yield from open_uploads.takes_from_anybody(ctx)
    yield from view_classes.for_anybody(ctx)
    yield from mail_addresses.shown_to_anybody(ctx)
    reported: set[Route] = set()
    worked: dict[str, Route] = {}
    yield from _spends(ctx, reported, worked)
    for route in ctx.routes:
        if route in reported or not _is_open(ctx, route) or is_payment_return(ctx, route):
            continue
        if not answers_at_once(ctx, route):
            served = list(_serves_members(ctx, route))
            yield from served or open_rest.rest(ctx, route, worked)


def _spends(ctx: Context, reported: set[Route], worked: dict[str, Route]) -> Iterator[Finding]:
    """The open ways to paid calls and to changes at the provider.

    Adds their routes to `reported`, and to `worked` the tables that they write or read members' rows of.
    """
    for flow in (*ctx.flows, *_to_changes(ctx)):
        route = flow.route
        if route is None or route in reported or not route.is_http or route.guarded_by:
            continue
        if any(asks_who(ctx, each) for each in flow.funcs):
            continue
        if ctx.role_at(route.module, route.node) not in LIVE_ROLES or is_webhook(ctx, route):
            continue
        if for_developers(route):
            continue
        if not is_readable(route) or open_deeds.caller_pays(ctx, flow):
            continue
        if "webhook" in route.path.lower() and _signed(ctx, route):
            continue
        reported.add(route)
        if behind_middleware(ctx, route):
            ctx.puzzled(
                "missing-auth",
                *route.home,
                f"{route.key} has no check of its own; a middleware file may cover it",
            )
            continue
        ways = {*flow.funcs, *(one for func in flow.funcs for one in helpers_of(ctx, func))}
        ways.update(within_reach(ctx, route))
        made = [each for func in ways for each in ctx.statements_under.get(func, ())]
        kept = {each.table for each in made if each.kind == "write" or open_data.is_members(ctx, each.table)}
        for table in sorted(kept):
            worked.setdefault(table, route)
        limit = limit_before(ctx, flow)
        but = f" but {limit}" if limit else ""
        message = f"{route.key} reaches {flow.call.api} without a check that denies{but}"
        petty = _brings(flow.call) or _names_nothing(ctx, flow.call)
        weight = BARELY if petty else LIMITED if limit else 90 if flow.call.creates else 80
        weight = BARELY if behind_page(ctx, route, behind_middleware) else weight
        yield finding("missing-auth", *route.home, message, key=route.key, weight=weight,
                      end=unguarded(route, flow.steps), evidence=[place(flow.call)])  # fmt: skip


def _is_open(ctx: Context, route: Route) -> bool:
    """Whether anybody can call a live route, as far as the repository says."""
    asked = not route.is_http or route.guarded_by or route.method in {"OPTIONS", "HEAD"}
    if asked or not is_readable(route) or ctx.role_at(route.module, route.node) not in LIVE_ROLES:
        return False
    return not is_webhook(ctx, route) and not behind_middleware(ctx, route) and not for_developers(route)


def for_developers(route: Route) -> bool:
    """Whether a handler leaves where this is no developer's machine: `if (NODE_ENV !== "development") return …`."""
    return any(leaves_in_production(each) for func in route.funcs for each in ir.find(func, ir.If))


def _serves_members(ctx: Context, route: Route) -> Iterator[Finding]:
    told = open_data.told(ctx, route)
    if told is None:
        deed = open_deeds.done(ctx, route)
        yield from (
            list(open_rows.shown_or_changed(ctx, route))
            or list(_asks_the_provider(ctx, route) if deed is None else _does(ctx, route, deed))
        )
    else:
        here, statement, column = told
        does = f"{open_data.DOES[statement.kind]} {statement.table} by the {column} of the request"
        message = f"{route.key} {does} and asks nobody"
        weight = open_rows.weight_of(ctx, route, statement)
        place_of = Place(here.module.path, statement.line)
        yield finding("missing-auth", *route.home, message, key=route.key, weight=weight,
                      end=unguarded(route, [place_of]), evidence=[place_of])  # fmt: skip


def _does(ctx: Context, route: Route, deed: Deed) -> Iterator[Finding]:
    """A route that spends at another service, stores or gives out files, or alters tables; JSON only without guards."""
    guards = any(each.guarded_by for each in ctx.routes)
    weight = open_deeds.WEIGHTS[deed.does] if guards or deed.does == open_deeds.PAYS else BARELY
    weight = BARELY if deed.does == TAKES and not open_deeds.reads_request(route) else weight
    message = f"{route.key} {deed.does} {deed.what} and turns nobody away"
    done = Place(deed.module.path, deed.call.line)
    yield finding("missing-auth", *route.home, message, key=route.key, weight=weight, end=unguarded(route, [done]),
                  evidence=[done])  # fmt: skip


def _asks_the_provider(ctx: Context, route: Route) -> Iterator[Finding]:
    """A route that answers with any training or prediction whose id it is given, where other routes ask who calls."""
    guards = any(each.guarded_by for each in ctx.routes)
    call = open_data.looked_up(ctx, route)
    if call is not None:
        message = f"{route.key} gives {call.api} of any id of the request and asks nobody"
        done, weight = place(call), 46 if guards else BARELY
        yield finding("missing-auth", *route.home, message, key=route.key, end=unguarded(route, [done]),
                      weight=weight, evidence=[done])  # fmt: skip


def _to_changes(ctx: Context) -> Iterator[Flow]:
    """The ways to calls that make models, delete what the provider keeps, or cancel what runs there."""
    for call in ctx.calls:
        ends = call.api.startswith("DELETE ") or call.api.endswith(("delete", "cancel"))
        makes = call.api in {"models.create", "deployments.create", "POST /v1/models", "POST /v1/deployments"}
        if (ends or makes or _brings(call)) and ctx.role_at(call.module, call.call) in LIVE_ROLES:
            yield from flows.to_call(ctx, call)


def _names_nothing(ctx: Context, call: ProviderCall) -> bool:
    """Whether a call ends what runs, of which nobody learns an id: all of it is waited for where it is started."""
    ends = call.api.endswith("cancel") and call.sdk
    return ends and all(each.api in WAITED_FOR for each in ctx.creates())


def _brings(call: ProviderCall) -> bool:
    """Whether a call stores a file at the provider: it costs nothing, and fills the owner's account."""
    return call.purpose == "other" and (call.api.startswith("POST ") or call.api.endswith("files.create"))


def _signed(ctx: Context, route: Route) -> bool:
    """Whether the handler checks who sent it by a signature: another service's webhook, such as a payment's."""
    handled = [each for each in route.handlers if isinstance(each.node, ir.Func) and each.module]
    return any(verifies(ctx, each.module, each.node) for each in handled if each.node is not None)


def is_webhook(ctx: Context, route: Route) -> bool:
    handlers = {(each.path, each.line) for each in ctx.of("webhook") if each.value == route.key}
    return (route.module.path, route.node.line) in handlers


def behind_middleware(ctx: Context, route: Route) -> bool:
    """Whether a Next middleware file denies on this path, as far as its matcher and its exceptions say."""
    if route.framework not in {"next", "pages", "action"}:
        return False
    said = lets_nobody_in(ctx, route)
    if said is not None:
        return not said
    files = ctx.once(middleware_files)
    if any(_excepts_everything(each) for each in files):
        return False
    covering = [each for each in files if _chosen(each, route)]
    if route.framework == "action" and any(_leaves_open(ctx, each) for each in covering):
        return False
    return any(
        ctx.once(_stands_in_front, each) and _denies_all(ctx, each, route) and _matches(each, route)
        for each in covering
    )


def _stands_in_front(ctx: Context, module: Module) -> bool:
    """Whether a file hands out what Next takes, or is imported by one that does."""
    if HANDS_OUT.search(module.file.text):
        return True
    taken = ctx.program.resolver.resolve
    return any(
        taken(each.path, one.module, each.language) == module.path
        for each in ctx.once(middleware_files)
        if each is not module and HANDS_OUT.search(each.file.text)
        for one in each.all(ir.Import)
    )


def _leaves_open(ctx: Context, module: Module) -> bool:
    """Whether some page needs no login, if only the login page itself: from there every server action can be called."""
    public = any(_makes_matcher(each) for each in module.all(ir.Call))
    words = [each.value for each in module.all(ir.Lit) if isinstance(each.value, str)]
    return public or any(each.startswith("/") and ctx.words.matches("login_place", each) for each in words)


def _excepts_everything(module: Module) -> bool:
    """`!path.startsWith("/")` in the test that denies: every path starts so, nobody is turned away."""
    return any(
        isinstance(call.parent, ir.Bin) and call.parent.op == "not" and ir.text_of(call.args[0]) == "/"
        for call in module.calls({"startsWith"})
        if call.args
    )


def _chosen(module: Module, route: Route) -> bool:
    """What `createRouteMatcher` lists say: lists of protected paths cover the route, or lists of public ones do not.

    A file without such lists leaves the question to its other tests.
    """
    verdicts: list[bool] = []
    for assign in module.all(ir.Assign):
        made = next((each for each in ir.find(assign, ir.Call) if _makes_matcher(each)), None)
        if made is None or not isinstance(assign.target, ir.Name):
            continue
        name = re.escape(assign.target.id)
        paths = [text for each in ir.find(made, ir.Lit) if (text := ir.text_of(each))]
        listed = any(_covers(re.sub(r":\w+\*?", ".*", each), route.path) for each in paths)
        public = re.search(rf"!\s*{name}\(", module.file.text) is not None
        verdicts.append(listed is not public)
    return all(verdicts) if verdicts else True


def _covers(expression: str, path: str, *, whole: bool = True) -> bool:
    """Whether a matcher of a middleware names a path, or its beginning; a slow one, or what is none, names none."""
    try:
        match = re.fullmatch if whole else re.match
        return SLOW.search(expression) is None and match(expression, path) is not None
    except (re.error, OverflowError):
        return False


def _makes_matcher(call: ir.Call) -> bool:
    return ir.dotted(call.func).rpartition(".")[2] == "createRouteMatcher"


def _denies_all(ctx: Context, module: Module, route: Route) -> bool:
    """A 401 or a library's guard counts; a redirect to a login page only where the API as a whole is not excepted."""
    words = [each.value for each in module.all(ir.Lit) if isinstance(each.value, str)]
    plain = [each for each in words if each.startswith("/") and "(" not in each and ":" not in each]
    if any(
        route.path == each or route.path.startswith(each.rstrip("/") + "/")
        for each in plain
        if len(each) > 1 and each != "/api" and not (each == "/api/" and _refuses_api(ctx, module))
    ):
        return False
    if _elsewhere(ctx, module, route) or _listed_elsewhere(module, route):
        return False
    codes = any(each.value in {401, 403} for each in module.all(ir.Lit) if not isinstance(each.value, bool))
    guards = any(is_guard_name(ctx, ir.dotted(each.func)) for each in module.all(ir.Call))
    if codes or guards:
        return True
    excepted = any(each.rstrip("/") == "/api" for each in plain)
    reexported = any("next-auth" in each.module or "@/auth" in each.module for each in module.all(ir.Import))
    if excepted or _only_counts(ctx, module):
        return False
    return reexported or any(denies(ctx, module, each) for each in module.all(ir.Func))


def _only_counts(ctx: Context, module: Module) -> bool:
    """Whether a file turns away only those who ask too often, 429: it redirects nobody, and no helper denies."""
    numbers = {each.value for each in module.all(ir.Lit) if isinstance(each.value, int)}
    if 429 not in numbers or any(True for _ in module.calls({"redirect", "rewrite", "protect"})):
        return False
    helpers = (one for call in module.all(ir.Call) for one in ctx.program.functions_called(call))
    return not any(
        isinstance(each.node, ir.Func)
        and each.module not in {None, module}
        and denies(ctx, each.module, each.node)
        for each in helpers
        if each.module is not None
    )


def _refuses_api(ctx: Context, module: Module) -> bool:
    """Whether a branch for paths below `/api/` answers 401 or 403, rather than letting them pass."""
    named = [each for each in module.all(ir.If) if "/api/" in names_in(each.test)]
    codes = (one.value for each in named for part in each.then for one in ir.find(part, ir.Lit))
    return any(each in {401, 403} for each in codes if not isinstance(each, bool | str | None))


def _elsewhere(ctx: Context, module: Module, route: Route) -> bool:
    """Whether every branch that turns callers away asks for a path first that the route does not have."""
    branches = [
        each
        for each in module.all(ir.If)
        if refuses_in(ctx, each.then) and not any(isinstance(one, ir.If) for one in each.then)
    ]
    return bool(branches) and all(_other_path(each, route) for each in branches)


_PROTECTED = re.compile(r"protect|private|secured?(_|[A-Z]|$)|require|authed|authenticated", re.I)


def _listed_elsewhere(module: Module, route: Route) -> bool:
    """Whether a list of what is protected leaves the route out: `const protectedRoutes = ["/dashboard"]`."""
    listed = [
        text
        for each in module.all(ir.Assign)
        if isinstance(each.target, ir.Name)
        and isinstance(each.value, ir.Arr)
        and _PROTECTED.search(each.target.id)
        for one in each.value.items
        if (text := ir.text_of(one) or "").startswith("/")
    ]
    return bool(listed) and not any(route.path.startswith(each.rstrip("/")) for each in listed)


def _other_path(branch: ir.If, route: Route) -> bool:
    """`!user && path.startsWith("/dashboard")`, also nested, where the route does not lie below `/dashboard`."""
    around = [each.test for each in ir.ancestors(branch) if isinstance(each, ir.If) and branch in each.then]
    for part in (one for test in (branch.test, *around) for one in joined(test, AND)):
        words = [each.value for each in ir.find(part, ir.Lit) if isinstance(each.value, str)]
        places = [each for each in words if each.startswith("/")]
        negated = any(isinstance(each, ir.Bin) and each.op in {"not", "!=", "!=="} for each in ir.walk(part))
        if places and not negated and not any(route.path.startswith(each.rstrip("/")) for each in places):
            return True
    return False


def _matches(module: Module, route: Route) -> bool:
    """Whether the matcher covers the route; without a matcher everything is covered."""
    words = [
        each.value
        for each in module.all(ir.Lit)
        if isinstance(each.value, str) and each.value.startswith("/")
    ]
    matchers = [each for each in words if "(" in each or ":" in each]
    if not matchers:
        return True
    for each in matchers:
        if each.startswith("/((?!"):
            if _covers(each, route.path):
                return True
        elif _covers(re.sub(r":\w+\*|\(.*?\)\*?", ".*", each), route.path, whole=False) or each.startswith(
            "/(api"
        ):
            return True
    return False
