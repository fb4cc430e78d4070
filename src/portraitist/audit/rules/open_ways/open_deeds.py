"""What an open route does besides the provider and rows: pays other services, takes or gives files, alters tables.

Each deed is one call of a known library, or a request to a known host. Part of `missing-auth`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.auth import asks_who
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.facts.db_common import call_name
from portraitist.audit.facts.flows import Flow
from portraitist.audit.facts.http import address_nodes
from portraitist.audit.link.bindings import bindings_of
from portraitist.audit.link.calls import argument_for, arguments
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import render
from portraitist.audit.rules.base import helpers_of, last_name
from portraitist.audit.rules.open_ways import open_data, open_effects
from portraitist.audit.rules.open_ways.open_effects import WRITES, effects
from portraitist.audit.rules.open_ways.open_files import DELETES, GIVES, MOVES, TAKES, Deed, stored
from portraitist.audit.rules.requests import Given, below, is_given

MAX_DEPTH = 4
"""How many calls below a handler a deed is looked for."""

PAYS, ALTERS, DROPS = "spends at", "alters the tables of", "drops or renames tables of"
WEIGHTS = {
    PAYS: 66,
    DROPS: 64,
    DELETES: 62,
    MOVES: 60,
    GIVES: 58,
    TAKES: 50,
    ALTERS: 41,
} | open_effects.WEIGHTS

_PAID = re.compile(
    r"^(?P<who>openai|anthropic|@anthropic-ai/sdk|@google/gen\w+(-\w+)*|google\.gen\w+|vertexai|@fal-ai/\w+(-\w+)*|fal_client"
    r"|groq(-sdk)?|@mistralai/mistralai|mistralai|together(-ai)?|elevenlabs|@elevenlabs/elevenlabs-js|litellm|cohere(-ai)?"
    r"|@runwayml/sdk|runwayml|lumaai|stability_sdk|@huggingface/inference|huggingface_hub|ai)\b"
    r".*\.(create|edit|generate|generateContent(Stream)?|generate_content(_stream|_async)?|generateImages|generate_images"
    r"|subscribe(_async)?|run(_async)?|submit(_async)?|generateText|streamText|generateObject|streamObject"
    r"|(experimental_)?generateImage|sendMessage|send_message|convert|a?completion|text_to_image|textToImage|stream|parse)$"
)
_PAYING = {
    "create", "edit", "generate", "generateContent", "generateContentStream", "generate_content", "generateImages",
    "generate_content_stream", "generate_content_async", "generate_images", "subscribe", "subscribe_async", "run",
    "run_async", "submit", "submit_async", "generateText", "streamText", "generateObject", "streamObject",
    "generateImage", "experimental_generateImage", "sendMessage", "send_message", "convert", "completion",
    "acompletion", "text_to_image", "textToImage", "parse",
}  # fmt: skip
_HOSTS = re.compile(
    r"https?://(?P<host>(?:api\.(?:openai|anthropic|elevenlabs|stability|together|groq|mistral|deepseek|dev\.runwayml|lumalabs"
    r"|kie|astria|bfl|leonardo|heygen|d-id|x|cohere|fireworks|siliconflow|segmind|novita|hedra|ideogram|deepinfra"
    r"|fashn|getimg|piapi|klingai|perplexity)\.(?:com|ai|io|xyz|ml|cn))|api\.remove\.bg|generativelanguage\.googleapis\.com"
    r"|(?:queue\.)?fal\.run|openrouter\.ai|ai\.gateway\.lovable\.dev|cloud\.leonardo\.ai|api-inference\.huggingface\.co"
    r"|router\.huggingface\.co)/(?P<path>.*)"
)
_NO_PATH = re.compile(r"(https?://[\w.-]+)?/?(v\d\w*)?/?")
"""What is spelled of an address whose path the callers of its function say."""
_SENDS = {"fetch", "post", "axios", "request", "got", "ky", "urlopen", "Request"}
_FREE = re.compile(r"/(models|voices|user|usage|balance|account|credits|status|requests)(/?$|\?|/\{)")
_ALTERS = re.compile(r"\b(alter|drop|create|truncate)\s+(table|type|index|schema)\b", re.I)
_DROPS = re.compile(
    r"\b(drop|truncate)\s+table\b(?!\s+(if\s+exists\s+)?[\w.\"]*te?mp_?)|\balter\s+table\s+[^;]*?\brename\s+to\b",
    re.I,
)
_RUNS = re.compile(r"rpc|query|execut|exec|unsafe|raw|sql|run", re.I)
_SETS_UP = re.compile(
    r"migrat|init|setup|set-up|schema|seed|reset|bootstrap|(^|/)db(/|$)|drop"
    r"|(create|make|fix|repair|add)[-_]?([a-z0-9]+[-_])*(tables?|columns?|database|polic(y|ies)|rls)\b",
    re.I,
)
_OWN_KEY = re.compile(
    r"^(user|custom|client|my|own|provided)?_?(openai|gemini|fal|anthropic|replicate)?_?api_?(key|token)$",
    re.I,
)


_UPLOADS = re.compile(r"uploads?[/_-]public|public[/_-]uploads?", re.I)
"""Where everybody may look at what lies there; who may put something there is another matter."""


def done(ctx: Context, route: Route) -> Deed | None:
    """The gravest deed below an open route; None where anything on the way asks who calls.

    Who is read and never tested is no hindrance to spending or storing; a file or a table may depend on it.
    """
    meant = open_data.is_meant_open(route)
    if (meant and not _UPLOADS.search(route.path)) or open_data.may_refuse(ctx, route):
        return None
    found: list[Deed] = []
    known = False
    level = [each.node for each in route.handlers if isinstance(each.node, ir.Func) and each.module]
    seen: set[ir.Func] = set()
    for _ in range(MAX_DEPTH + 1):
        for func in level:
            if func in ctx.program.module_of and asks_who(ctx, func):
                return None
            known = known or ctx.once(open_data.knows_besides, func)
            found.extend(ctx.once(deeds).get(func, ()))
            seen.add(func)
        level = [each for func in level for each in helpers_of(ctx, func) if each not in seen]
    fitting = [
        each
        for each in found
        if not (known and each.does in {GIVES, DELETES, MOVES, ALTERS, DROPS, *open_effects.WEIGHTS})
    ]
    fitting = [each for each in fitting if (not meant or each.does == WRITES) and _fits(ctx, route, each)]
    return max(fitting, key=lambda each: WEIGHTS[each.does], default=None)


def _fits(ctx: Context, route: Route, deed: Deed) -> bool:
    """Whether a deed counts here: tables by the route's name, files by the request's key, or a paid service."""
    if deed.does == ALTERS:
        return _is_set_up(route)
    if deed.does == DROPS:  # below a helper it may be how the program brings itself up to date, once
        return _is_set_up(route) or any(each in ir.ancestors(deed.call) for each in route.funcs)
    if deed.does in {GIVES, DELETES, MOVES, *open_effects.WEIGHTS}:
        around = [each for each in below(ctx, route) if each.func in ir.ancestors(deed.call)]
        return any(is_given(each, key) for each in around for key in deed.keys)
    if deed.does == TAKES:
        return not any(open_data.looks_up(ctx, each) for each in below(ctx, route))
    if deed.does == PAYS:
        return not any(_brings_key(each) for each in below(ctx, route))
    return True


def reads_request(route: Route) -> bool:
    """Whether a handler looks at what it is given at all: one that does not stores what its owner wrote."""
    handlers = route.funcs
    for func in handlers:
        given = {each.id for param in func.params for each in ir.find(param, ir.Name)}
        given |= {"request", *(each.name for each in func.params)}
        if any(each.id in given for part in func.body for each in ir.find(part, ir.Name)):
            return True
    return not handlers


def _is_set_up(route: Route) -> bool:
    """Whether a route's name says that it makes or alters tables, and nothing that is meant to be open."""
    return _SETS_UP.search(route.path) is not None and not open_data.MEANT_OPEN.search(route.path)


def _brings_key(here: Given) -> bool:
    """Whether the request gives a key to the service: then its caller pays."""
    named = (each for each in ir.walk(here.func) if isinstance(each, ir.Name | ir.Attr))
    return any(
        _OWN_KEY.match(last_name(each)) and (is_given(here, each) or _from_header(here, each))
        for each in named
    )


def _from_header(here: Given, node: ir.Node) -> bool:
    """`const apiKey = req.headers["x-api-key"]`."""
    values = (
        each.value for each in bindings_of(here.module, node) if each.value is not None and not each.keys
    )
    return any("headers" in ir.dotted(each).split(".")[1:] for each in values)


def caller_pays(ctx: Context, flow: Flow) -> bool:
    """Whether paid work is done with a key of the request alone: no file on the way names one of the server's."""
    files = {ctx.program.module_of[each] for each in flow.funcs}
    if flow.route is None or any(_SERVERS_KEY.search(each.file.text) for each in files):
        return False
    return any(_brings_key(each) for each in below(ctx, flow.route))


_SERVERS_KEY = re.compile(r"(environ|getenv|env)\b.{0,12}REPLICATE|REPLICATE_(API_)?(TOKEN|KEY)")


def deeds(ctx: Context) -> dict[ir.Func, list[Deed]]:
    """The deeds of the live files by every function around them."""
    found: dict[ir.Func, list[Deed]] = {}
    sets_up = any(each.is_http and not each.guarded_by and _is_set_up(each) for each in ctx.routes)
    for module in ctx.live:
        altered = _altered(module) if sets_up else ()
        for deed in (
            *_paid(ctx, module),
            *_requested(ctx, module),
            *stored(ctx, module),
            *effects(ctx, module),
            *_dropped(module),
            *altered,
        ):
            func = deed.call.within
            while func is not None:
                found.setdefault(func, []).append(deed)
                func = func.within
    return found


def _paid(ctx: Context, module: Module) -> Iterator[Deed]:
    for call in module.calls(_PAYING):
        name = _PAID.match(ctx.program.origin(module, call.func))
        if name is not None and call not in ctx.call_at:
            yield Deed(module, call, PAYS, name.group("who"))


def _requested(ctx: Context, module: Module) -> Iterator[Deed]:
    """Requests that send something to a paid service's host."""
    for call in module.calls(_SENDS) if "http" in module.file.words else ():
        for node in address_nodes(call)[:1] if call not in ctx.call_at else ():
            host = _HOSTS.match(_address(ctx, module, node))
            if host is None or _FREE.search("/" + host.group("path")):
                continue
            told = _told_path(module, call, node)
            if told is not None:
                yield from _by_callers(ctx, call, told, host.group("host"))
            elif sends(call):
                yield Deed(module, call, PAYS, host.group("host"))


def _told_path(module: Module, call: ir.Call, node: ir.Node) -> ir.Param | None:
    """The parameter that the path of an address ends in, where a function sends whatever its callers ask for."""
    values = [node, *_values(module, node)]
    text = next((each for each in values if isinstance(each, ir.Tmpl) and each.parts), None)
    spelled = "".join(str(each.value) for each in text.parts if isinstance(each, ir.Lit)) if text else ""
    last = text.parts[-1] if text is not None and _NO_PATH.fullmatch(spelled) else None
    names = {each.id for each in ir.find(last, ir.Name)} if last is not None else set()
    params = call.within.params if call.within is not None else []
    return next((each for each in params if each.name in names), None)


def _by_callers(ctx: Context, call: ir.Call, told: ir.Param, host: str) -> Iterator[Deed]:
    """The calls that have such a function send something to a path that is not free."""
    func = told.parent
    for site in ctx.program.callers.get(func, []) if isinstance(func, ir.Func) else ():
        given = argument_for(site.call, func, told) if isinstance(func, ir.Func) else None
        path = str(render(ctx.ev.eval(site.module, given)) or "") if given is not None else ""
        said = {(ir.text_of(each) or "").upper() for each in arguments(site.call)}
        posts = sends(site.call) or "POST" in said or (sends(call) and "GET" not in said)
        if path.strip("/") and not path.startswith("{") and not _FREE.search(f"/{path.strip('/')}") and posts:
            yield Deed(site.module, site.call, PAYS, host)


def _address(ctx: Context, module: Module, node: ir.Node) -> str:
    """What is asked for, as far as it is known; for one of a list that a loop runs over, the first of these."""
    text = str(render(ctx.ev.eval(module, node)) or "")
    if text and not text.startswith("{"):
        return text
    names = [*ir.find(node, ir.Name)]
    for value in (
        each.value for name in names[:1] for each in bindings_of(module, name) if each.kind == "assign"
    ):
        names.extend(ir.find(value, ir.Name) if value is not None else ())
    for name in names[:3]:
        listed = (each.value for each in bindings_of(module, name) if each.kind == "loop")
        for source in (one for each in listed if each is not None for one in (each, *_values(module, each))):
            if isinstance(source, ir.Arr) and source.items:
                return str(render(ctx.ev.eval(module, source.items[0])) or "")
    return text


def _values(module: Module, node: ir.Node) -> list[ir.Node]:
    return [each.value for each in bindings_of(module, node) if each.value is not None and not each.keys]


def sends(call: ir.Call) -> bool:
    """Whether a request has a body: `post(…)`, or a `fetch` that says so."""
    method = ir.keyword(call, "method")
    return call_name(call) == "post" or (ir.text_of(method) or "").upper() == "POST"


def _altered(module: Module) -> Iterator[Deed]:
    """Definitions of tables that are changed, or all tables made or dropped."""
    if _ALTERS.search(module.file.text):
        for lit in module.all(ir.Lit):
            text = lit.value if isinstance(lit.value, str) else ""
            if _ALTERS.search(text) and lit.within is not None:
                holder = ir.enclosing(lit, ir.Call)
                yield Deed(module, holder or _at(lit), ALTERS, "the database")
    for call in module.calls({"create_all"}):
        yield Deed(module, call, ALTERS, "the database")


def _dropped(module: Module) -> Iterator[Deed]:
    """Tables that a call drops, empties or puts others in the place of, by a text that stands in it."""
    words = module.file.lowered_words
    spoken = any(each in words for each in ("drop", "truncate", "rename"))
    for lit in module.all(ir.Lit) if spoken and _DROPS.search(module.file.text) else ():
        call = ir.enclosing(lit, ir.Call) if isinstance(lit.value, str) and lit.within is not None else None
        while call is not None and not _RUNS.search(call_name(call)):
            call = ir.enclosing(call, ir.Call)
        if call is not None and isinstance(lit.value, str) and _DROPS.search(lit.value):
            yield Deed(module, call, DROPS, "the database")
    for call in module.calls({"drop_all", "dropDatabase", "drop_database", "dropCollection"}):
        yield Deed(module, call, DROPS, "the database")


def _at(lit: ir.Lit) -> ir.Call:
    """A stand-in for the call that is given a text through a variable: it stands where the text does."""
    made = ir.Call(lit.line, lit.end, lit, [])
    made.parent, made.within = lit.parent, lit.within
    return made
