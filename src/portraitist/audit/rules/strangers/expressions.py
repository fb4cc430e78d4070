"""What expressions come to for a stranger: members of the request, settings, comparisons. Calls are in `calls`."""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Route
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import Known, OneOf, Outside
from portraitist.audit.rules.base import last_name
from portraitist.audit.rules.evaluator import (
    NOBODY,
    UNKNOWN,
    Closure,
    Evaluator,
    Mark,
    Names,
    Value,
    is_optional,
)
from portraitist.audit.rules.strangers.values import (
    REQUEST,
    ROW,
    Choices,
    Kept,
    Sent,
    Setting,
    ThrownError,
)

WHO = {
    "user",
    "session",
    "auth",
    "userId",
    "user_id",
    "currentUser",
    "current_user",
    "account",
    "uid",
    "admin",
}
"""What a framework or a guard hangs on a request: nothing for a stranger, unless something here hangs it there."""
PARTS = {
    "body": "body", "query": "query", "params": "param", "headers": "header", "cookies": "cookie", "args": "query",
    "form": "body", "GET": "query", "POST": "body", "META": "header", "query_params": "query", "path_params": "param",
    "searchParams": "query", "queryStringParameters": "query", "pathParameters": "param", "files": "file",
    "rawBody": "body", "view_args": "param", "values": "query", "data": "body", "url": "address", "nextUrl": "address",
    "signedCookies": "cookie", "raw_headers": "header", "FILES": "file", "file": "file", "input": "body",
}  # fmt: skip
"""Members of a request by which its caller speaks."""
WRAPS = {"req", "request", "raw", "event", "node"}
_MODES = re.compile(
    r"^((NODE|APP|FLASK|PYTHON|FASTAPI|DJANGO|RUNTIME|DEPLOY(MENT)?|SERVER)_)?(ENV|ENVIRONMENT)$|^(APP_|DEPLOY_)?(STAGE|MODE)$"
)
_NEXT_MODES = {"NODE_ENV", "VERCEL_ENV", "NEXT_PUBLIC_VERCEL_ENV"}
_SETTINGS = re.compile(
    r"^(settings|config|cfg|env|conf|self|this|app_settings|app_config|get_settings)$", re.I
)
_OF_USER = {
    "userId", "user_id", "user", "session", "data", "orgId", "sessionClaims", "claims", "error", "isAuthenticated",
    "is_authenticated", "sessionId", "isSignedIn", "isLoaded", "get",
}  # fmt: skip
"""Members that whoever asks for nobody's session gets without an error."""
_ADDRESS = {"path", "pathname", "originalUrl", "baseUrl", "method", "httpMethod", "full_path", "rawPath"}
_PLACES = {"header origin", "header referer", "header host", "header user-agent"}
"""Headers whose allowed values everybody knows."""
_FLAGS = {
    "",
    "1",
    "0",
    "true",
    "false",
    "yes",
    "on",
    "null",
    "undefined",
    "guest",
    "anonymous",
    "demo",
    "test",
    "none",
}
_NUMBERS = {"<", ">", "<=", ">="}


class Expressions(Evaluator):
    """Evaluates expressions on one way to a route; `deployed` where its framework's build says: in production."""

    def __init__(self, ctx: Context, choices: Choices, route: Route) -> None:
        super().__init__(ctx)
        self.choices, self.route = choices, route
        self.deployed = route.framework in {"next", "pages", "action"}
        self.hung: dict[str, Value] = {}

    def truth(self, value: Value) -> bool | None:
        """Whether a value is true in a test; what the caller or a setting decides is chosen here."""
        what = value.what
        if isinstance(what, Setting):
            return self.truth(Value(self.worth(what)))
        if isinstance(what, Sent):
            return self.choices.there(what)
        if what is UNKNOWN or what is ROW:
            return None
        if isinstance(what, Mark | Kept | Closure):
            return what is not NOBODY
        return True if isinstance(what, list) else bool(what)

    def worth(self, setting: Setting) -> object:
        """What a setting is on this way; the mode of a build is production, or what its default says."""
        if not _MODES.match(setting.name):
            return self.choices.worth(setting)
        if self.deployed and setting.name in _NEXT_MODES:
            return "production"
        return "production" if self.choices.choose(("mode", setting.name)) else setting.default

    def named(self, name: str, module: Module) -> Value:
        """A name of the module; one on which nothing is chosen is worth the same on every way."""
        kept = self.ctx.once(_constants)
        found = kept.get((module.path, name))
        if found is None:
            before = len(self.choices.asked)
            found = super().named(name, module)
            if len(self.choices.asked) == before:
                kept[module.path, name] = found
        return found

    def constant(self, node: ir.Node, module: Module) -> Value:
        """What a constant is; one of many lines, such as a table's, is not looked into."""
        return super().constant(node, module) if node.end - node.line < _LINES else Value(UNKNOWN)

    def either(self, values: list[Value]) -> Value:
        """One of several values, as one."""
        return values[0] if len(values) == 1 else Value(UNKNOWN, any(each.asked for each in values))

    def attribute(self, node: ir.Attr, module: Module, names: Names) -> Value:
        """`a.b`; `a?.b` of nothing is nothing."""
        setting = self.setting(node, module)
        if setting is not None:
            return setting
        held = self.of(node.obj, module, names)
        return self._part(held, node.name, maybe=node.maybe or is_optional(node))

    def made(self, node: ir.Node, module: Module, names: Names) -> Value:
        """As everywhere, and a member by its key, an assignment within an expression."""
        if isinstance(node, ir.Index):
            setting = self.setting(node, module)
            if setting is not None:
                return setting
            held, key = self.of(node.obj, module, names), self.of(node.key, module, names)
            if isinstance(held.what, list) and isinstance(key.what, int):
                found = held.what[key.what] if -len(held.what) <= key.what < len(held.what) else Value(None)
                return found if isinstance(found, Value) else Value(UNKNOWN)
            if isinstance(held.what, Sent) and isinstance(key.what, int):
                return Value(Sent(held.what.key))
            part = str(key.what) if isinstance(key.what, str) else "…"
            return self._part(held, part, maybe=node.maybe or is_optional(node))
        if isinstance(node, ir.Obj):
            return self._object(node, module, names)
        return super().made(node, module, names)

    def _object(self, node: ir.Obj, module: Module, names: Names) -> Value:
        made: dict[str, Value] = {}
        for prop in node.props:
            value = self.of(prop.value, module, names)
            if prop.key is not None:
                made[prop.key] = value
            elif prop.spread and isinstance(value.what, dict):
                made.update(value.what)
        return Value(made)

    def _part(self, held: Value, name: str, *, maybe: bool) -> Value:
        what = held.what
        if isinstance(what, Setting):
            held = Value(what := self.worth(what))
        if what is None or what is NOBODY:
            if not maybe and (what is None or name not in _OF_USER):
                raise ThrownError
            return Value(what, held.asked)
        if isinstance(what, Sent) and not what.whole and maybe and not self.choices.there(what):
            return Value(None)
        return self.member(held, name)

    def member(self, held: Value, name: str) -> Value:
        """`held.name`."""
        what = held.what
        if what is REQUEST:
            return self._of_request(name)
        if isinstance(what, Sent) and what.key == "address" and name in _ADDRESS:
            return Value(self.route.path)
        if isinstance(what, Sent):
            return _of_sent(what, name)
        if isinstance(what, dict):
            found = what.get(name, Value(None))
            return found if isinstance(found, Value) else Value(UNKNOWN)
        if what is NOBODY:
            return Value(UNKNOWN if name == "error" else NOBODY, True)
        if what is None:
            return Value(None, held.asked)
        if isinstance(what, str | list) and name == "length":
            return Value(len(what))
        return Value(what if what is ROW or isinstance(what, Kept) else UNKNOWN, held.asked)

    def _of_request(self, name: str) -> Value:
        if name in self.hung:
            return self.hung[name]
        if name in WRAPS:
            return Value(REQUEST)
        if name in WHO:
            return Value(NOBODY, True)
        if name in PARTS:
            return Value(Sent(PARTS[name], whole=True))
        if name in _ADDRESS:
            return Value(self.route.method if "ethod" in name else self.route.path)
        return Value(REQUEST if name in {"state", "locals", "requestContext", "var"} else UNKNOWN)

    def joined(self, parts: list[Value]) -> Value:
        """A text with holes: what a setting is in is kept, though `undefined` may be guessed where it is missing."""
        whats = [self.worth(each.what) if isinstance(each.what, Setting) else each.what for each in parts]
        secret = next((each for each in parts if isinstance(each.what, Setting | Kept)), None)
        if secret is not None:
            return Value(Kept(secret.what.name)) if isinstance(secret.what, Setting | Kept) else secret
        sent = next((each for each in whats if isinstance(each, Sent)), None)
        if sent is not None:
            return Value(sent)
        if all(isinstance(each, str | int) for each in whats):
            return Value("".join(str(each) for each in whats)[:200])
        return Value(UNKNOWN, any(each.asked for each in parts))

    def operation(self, node: ir.Bin, module: Module, names: Names) -> Value:
        """As everywhere; `process.env.X || "text"` is a setting with a default."""
        if node.op == "or" and isinstance(node.right, ir.Lit):
            left = self.of(node.left, module, names)
            if isinstance(left.what, Setting) and left.what.default is None:
                return Value(Setting(left.what.name, node.right.value))
        return super().operation(node, module, names)

    def compared(self, op: str, left: Value, right: Value) -> Value:
        """`a == b`, `a in b`, `a < b`."""
        sent = next((each.what for each in (left, right) if isinstance(each.what, Sent)), None)
        if op in {"in", "not in"}:
            found = self.contains(right, left)
            return Value(UNKNOWN if found is None else found is (op == "in"), left.asked or right.asked)
        if op in _NUMBERS and sent is not None:
            return Value(bool(self.choices.choose(("holds", sent.key, op))), left.asked or right.asked)
        return super().compared(op, left, right)

    def contains(self, held: Value, one: Value) -> bool | None:
        """Whether a list, or what was sent, holds a value."""
        what = self.worth(held.what) if isinstance(held.what, Setting) else held.what
        if isinstance(what, dict) and isinstance(one.what, str):
            return one.what in what
        if isinstance(what, list):
            same = [self.same(one.what, each.what) for each in what]
            return True if True in same else None if None in same else False
        if isinstance(what, str) and isinstance(one.what, str):
            return one.what in what
        if isinstance(what, Sent):
            return bool(self.choices.choose(("holds", what.key, str(one.what))))
        if isinstance(one.what, Sent) and (
            one.what.key in _PLACES or (isinstance(what, Kept) and what.is_public)
        ):
            return self.choices.there(one.what) and bool(self.choices.choose(("listed", one.what.key)))
        return None

    def same(self, left: object, right: object) -> bool | None:
        """Whether two things are the same: nobody sends a secret by chance."""
        if isinstance(right, Sent):
            left, right = right, left
        unset = isinstance(right, Setting)
        written = isinstance(right, str) and right not in _FLAGS
        left, right = (self.worth(each) if isinstance(each, Setting) else each for each in (left, right))
        if isinstance(left, Sent):
            if unset and right is None:
                return False  # though a key that is not sent may be the same as one that is not set
            if written and left.is_token:
                return False  # a secret in the source is another risk
            return self._is_sent(left, right)
        if left is UNKNOWN or right is UNKNOWN or left is ROW or right is ROW:
            return None
        nothing = [each is None or each is NOBODY for each in (left, right)]
        if any(nothing):
            return all(nothing)
        if isinstance(left, Mark | Kept | dict | list) or isinstance(right, Mark | Kept | dict | list):
            return None
        return left == right

    def _is_sent(self, sent: Sent, other: object) -> bool | None:
        if other is None or other is NOBODY:
            return not self.choices.there(sent)
        if isinstance(other, Kept):
            return bool(self.choices.there(sent)) if other.is_public else False
        if isinstance(other, str | int | float):
            return self.choices.equals(sent, other)
        return None if not isinstance(other, Sent) else sent.key == other.key or None

    def setting(self, node: ir.Node, module: Module) -> Value | None:
        """A setting of the environment, as an expression reads it; None for anything else."""
        name = _environment(node)
        if name:  # `os.environ["X"]` fails where it is missing
            return Value(Kept(name) if module.language == "python" else Setting(name))
        if not isinstance(node, ir.Attr) or not _SETTINGS.match(last_name(node.obj)):
            return None
        value = self.ctx.ev.eval(module, node)
        options = value.options if isinstance(value, OneOf) else (value,)
        named = [each.name for each in options if isinstance(each, Outside) and each.kind == "env"]
        default = next((each.value for each in options if isinstance(each, Known)), None)
        return Value(Setting(named[0], default)) if named else None


_LINES = 30
"""The lines of a constant that is looked into."""


def _constants(_ctx: Context) -> dict[tuple[str, str], Value]:
    """The names of modules that are worth the same on every way, by path and name; filled while they are asked for."""
    return {}


def _environment(node: ir.Node) -> str:
    """The variable that `process.env.X`, `import.meta.env.X` or `os.environ["X"]` reads."""
    held = ir.plain_dotted(node.obj) if isinstance(node, ir.Attr | ir.Index) else ""
    if held not in _ENVIRONMENTS:
        return ""
    key = (
        node.name
        if isinstance(node, ir.Attr)
        else ir.text_of(node.key)
        if isinstance(node, ir.Index)
        else None
    )
    return key if key and key != "get" else ""


_ENVIRONMENTS = {"process.env", "import.meta.env", "os.environ", "Deno.env", "Bun.env"}


def _of_sent(sent: Sent, name: str) -> Value:
    if sent.key == "address" and name in PARTS:
        return Value(Sent(PARTS[name], whole=True))
    if name in {"success", "ok"}:
        return Value(Sent(f"{sent.key} as it should be"))
    if name in {"data", "value"}:
        return Value(sent)
    if name == "error":
        return Value(UNKNOWN)
    joiner = " " if sent.key in {"header", "query", "cookie", "param"} else "."
    return Value(Sent(f"{sent.key}{joiner}{name}", whole=sent.key == "param"))
