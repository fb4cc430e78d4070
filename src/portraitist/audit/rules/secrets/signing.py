"""Keys that sign sessions and tokens, with a text in the source: as a default of a setting, or plainly.

Everybody who reads the code can then sign for anybody. Part of `secret-in-repo`; other secrets are in `spelled`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.bindings import bindings_of, variables_in
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import last_name, names_in, trace
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.secrets.keyed import signs_by_use
from portraitist.audit.rules.secrets.shut import (
    is_believed_by_nobody,
    is_demanded_at_start,
    is_for_tests,
    is_listed_as_refused,
    verifies_nothing,
)
from portraitist.audit.rules.secrets.surroundings import on_machines_alone
from portraitist.audit.rules.syntax import is_set, leaves_in_production

_SIGNS = re.compile(
    r"^((app|django|flask|my|server|backend|api|next|jwt|session|cookie|auth|refresh|access)_?)*"
    r"(jwt_?secret|secret_?key|session_?(secret|key)|nextauth_?secret|auth_?secret|cookie_?(secret|key)|signing_?(key|secret)"
    r"|jwt_?(private_?|signing_?)?key|(access|refresh|jwt|auth|token|csrf|hmac)_?(token_?)?secret(_?key)?)$",
    re.I,
)
"""What signs sessions: a fallback for one is known to everybody who reads the code, whatever it looks like."""
_KEY = re.compile(r"secret|(^|_)(key|token|pass(word|phrase)?|sign\w*|hmac|jwt)(_|$)", re.I)
"""What may be one by its name: where it ends up is looked for then."""
_ELSEWHERE = re.compile(
    r"(^|/)(settings|config|conf)[/._-](dev|develop\w*|local|test\w*|ci)\.\w+$|(^|/)(dev|local|test)_?(settings|config)\.\w+$"
)
"""Settings of a developer's own machine."""
_TRIAL = re.compile(r"debug|prod|(^|_)dev|_env(ironment)?$|^environment$|testing|local", re.I)
_MACHINE = re.compile(r"debug|(^|_)dev|testing|(^|_)local", re.I)
_HOLES = re.compile(r"^<|\{\{|\$\{|^%")


def known_keys(ctx: Context) -> Iterator[Finding]:
    """Fallbacks of keys that sign, and keys that a signing call or a framework is plainly given.

    Not where the code leaves by a test of the key beside its surroundings, or of that very text; nor in branches for
    development. A Python `SECRET_KEY` counts only in a product that signs something.
    """
    yield from _fallbacks(ctx)
    yield from _plain_keys(ctx)


def _fallbacks(ctx: Context) -> Iterator[Finding]:
    for (module, end), (line, name, text) in _known_texts(ctx).items():
        harmless = refused(ctx, module, line, name, text) or _opens_nothing(module, line, end)
        if harmless or is_demanded_at_start(ctx, module, name, text):
            continue
        aside = _ASIDE.search(module.path) is not None and not any(True for _ in module.calls(_KEYED))
        if not aside:
            yield _known(module, (line, end), name)
        elif not any(_needs(each, name) for each in ctx.live if each is not module):
            message = (
                f"where {name} is not set, a text that everybody who reads this code knows stands in for it"
            )
            yield Finding("secret-in-repo", module.path, line, end, message, name, "", (), BARELY)


def _known_texts(ctx: Context) -> dict[tuple[Module, int], tuple[int, str, str]]:
    """Where keys that sign fall back on a text, by file and last line, with the first line, their name and the text."""
    given: dict[tuple[Module, int], tuple[int, str, str]] = {}
    for fact in ctx.of("env.default"):
        module = ctx.program.modules.get(fact.path)
        text = fact.value if isinstance(fact.value, str) else ""
        if module is None or module.role not in LIVE_ROLES or not _is_text(text):
            continue
        if not (_SIGNS.match(fact.key) or (_KEY.search(fact.key) and signs_by_use(ctx, module, fact))):
            continue
        if _counts(ctx, module, fact.key) and _is_asked(ctx, module, fact.key):
            given.setdefault((module, fact.end_line), (fact.line, fact.key, text))
    for module in ctx.live:
        for call in module.calls({"get", "config", "env"}):
            name = _falls_back(call)
            if name and _counts(ctx, module, name):
                given.setdefault((module, call.end), (call.line, name, ir.text_of(call.args[1]) or ""))
        for either in module.all(ir.Bin):
            name = _or_spelled(either)
            if name:
                given.setdefault((module, either.end), (either.line, name, ir.text_of(either.right) or ""))
    return given


_ASIDE = re.compile(r"(^|/)(seeds?|seeders?|scripts?)([/._-])|[._-]seed(s|er)?\.\w+$", re.I)
"""Files that are run by hand, and sign nothing for the application unless they do so themselves."""


def _needs(module: Module, name: str) -> bool:
    """Whether a file leaves where a setting is missing: `if (!process.env.JWT_SECRET) throw …`."""
    if name.lower() not in module.lowered or _ASIDE.search(module.path):
        return False
    held = {name}
    for each in module.all(ir.Assign):
        if isinstance(each.value, ir.Node) and name in names_in(each.value) | {last_name(each.value)}:
            held |= variables_in(each.target)
    missing = (each for each in module.all(ir.If) if exits(each.then))
    return any(
        last_name(one.left) in held
        for each in missing
        for one in ir.find(each.test, ir.Bin)
        if one.op in {"not", "!", "is", "==", "==="}
    )


def _is_asked(ctx: Context, module: Module, name: str) -> bool:
    """Whether some code takes the key out of the settings class that declares it; other settings are taken by name."""
    if "BaseSettings" not in module.file.text:
        return True
    for each in ctx.live:
        for node in each.all(ir.Attr) if each is not module and name.lower() in each.lowered else ():
            if node.name.lower() == name.lower() and not is_set(node):
                return True
    return any(_is_taken_by_name(each, name) for each in ctx.live)


def _is_taken_by_name(module: Module, name: str) -> bool:
    """`getattr(settings, "SECRET_KEY")`."""
    return any(
        isinstance(each.value, str) and each.value.lower() == name.lower()
        for call in module.calls({"getattr"})
        for each in ir.find(call, ir.Lit)
    )


def _plain_keys(ctx: Context) -> Iterator[Finding]:
    for module in ctx.live:
        ways = (*_set_plainly(ctx, module), *_signed_plainly(ctx, module), *_encrypted_plainly(ctx, module))
        for where, name, lit in ways:
            if _is_text(lit.value) and not refused(ctx, where, lit.line, name, str(lit.value)):
                yield _plain(
                    where.path,
                    lit.line,
                    name,
                    grave="INSTALLED_APPS" in where.top.names or _counts(ctx, where, name),
                )


def _known(module: Module, lines: tuple[int, int], name: str) -> Finding:
    locks = _ENCRYPTS.search(module.lowered) is not None and _SIGNS_TOO.search(module.lowered) is None
    does = "what it encrypts is encrypted" if locks else "what it signs is signed"
    message = f"where {name} is not set, {does} with a text that everybody who reads this code knows"
    return Finding("secret-in-repo", module.path, *lines, message, name, "", (), 60)


_ENCRYPTS = re.compile(r"createcipher|fernet|aesgcm|aes-\d|crypto\.aes")
_SIGNS_TOO = re.compile(r"hmac|jwt|jose|\bsign(ed)?\b|session|cookie")


def _opens_nothing(module: Module, line: int, end: int) -> bool:
    """Whether the text serves one look at a token alone that may as well be left out, and whose word nobody takes.

    `if (token) { verify(token, SECRET || "…") }`: whoever brings no token gets as far.
    """
    for call in module.calls({"verify", "decode"}):
        if not (call.line <= line and end <= call.end and call.args):
            continue
        whole = next((each for each in ir.ancestors(call) if isinstance(each, ir.Assign | ir.Return)), None)
        held = variables_in(whole.target) if isinstance(whole, ir.Assign) and whole.end == call.end else set()
        func, brought = call.within, variables_in(call.args[0])
        if isinstance(whole, ir.Return) or func is None or (whole is not None and not held):
            continue
        taken = any(each.id in held and each.line > call.end for each in ir.find(func, ir.Name))
        around = (each for each in ir.ancestors(call) if isinstance(each, ir.If) and each.within is func)
        maybe = any(
            isinstance(each.test, ir.Name) and each.test.id in brought and not each.other for each in around
        )
        if maybe and not taken:
            return True
    return False


def _plain(path: str, line: int, name: str, *, grave: bool) -> Finding:
    message = f"{name or 'what sessions are signed with'} is a text that everybody who reads this code knows"
    return Finding("secret-in-repo", path, line, line, message, name or "signed", "", (),
                   66 if grave else BARELY)  # fmt: skip


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not _HOLES.search(value)


def _counts(ctx: Context, module: Module, name: str) -> bool:
    plain = name.upper() != "SECRET_KEY" or module.language != "python"
    return plain or bool(ctx.once(_signs))


def refused(ctx: Context, module: Module, line: int, name: str, text: str) -> bool:
    """Whether the text serves developers alone: by its file, a branch or choice around, or a test that leaves."""
    if _ELSEWHERE.search(module.path):
        return True
    if any(_is_trial(each, line) or _is_behind(each, line) for each in module.all(ir.If)):
        return True
    if on_machines_alone(module, line, text) or is_for_tests(module, line):
        return True
    spellings = {name.lower(), name.lower().replace("_", "")}
    named = (one for one in ctx.live if any(each in one.lowered for each in spellings))
    return any(_turns_down(one, name, text) for one in named)


def _is_behind(branch: ir.If, line: int) -> bool:
    """Whether a line stands in a function behind a way out of it in production."""
    func = branch.within
    return func is not None and branch.end < line <= func.end and leaves_in_production(branch)


def _is_trial(branch: ir.If, line: int) -> bool:
    """Whether a line stands where a test says that this is a developer's machine, or that it is not production."""
    asked = names_in(branch.test)
    live = any("prod" in each.lower() for each in asked)
    part = branch.other if live else branch.then if any(_MACHINE.search(each) for each in asked) else []
    return any(each.line <= line <= each.end for each in part)


def _turns_down(module: Module, name: str, text: str) -> bool:
    """A branch that leaves where the key is that text, or is not set in production; a validator of the setting."""
    for each in module.all(ir.If):
        if not exits(each.then):
            continue
        asked = names_in(each.test)
        if text in asked or is_listed_as_refused(module, each.test, name, text):
            return True
        if any(snake(one) == snake(name) for one in asked) and any(_TRIAL.search(one) for one in asked):
            return True
    checked = (
        one for func in module.all(ir.Func) for one in func.decorators if "validator" in ir.dotted(one)
    )
    return any(snake(name) == snake(one) for each in checked for one in names_in(each))


def _falls_back(call: ir.Call) -> str:
    """`app.config.get("SECRET_KEY", "…")`: the name, where a key that signs has a literal to fall back on."""
    if len(call.args) < 2:
        return ""
    read, fallback = ir.text_of(call.args[0]), ir.text_of(call.args[1])
    return read if read and fallback and _SIGNS.match(read) else ""


def _or_spelled(either: ir.Bin) -> str:
    """`settings.JWT_SECRET || "…"`."""
    if either.op != "or" or not isinstance(either.left, ir.Attr | ir.Index):
        return ""
    name = last_name(either.left)
    return name if _SIGNS.match(name) and ir.text_of(either.right) else ""


_FRAMEWORKS = re.compile(r"^(flask|quart|sanic|starlette|django)\b")


def _set_plainly(ctx: Context, module: Module) -> Iterator[tuple[Module, str, ir.Lit]]:
    """`app.secret_key = "…"`, `app.config["SECRET_KEY"] = "…"`; `SECRET_KEY = "…"` in Django's settings."""
    if module.language != "python" or "secret_key" not in module.lowered:
        return
    framework = any(_FRAMEWORKS.match(each.module) for each in module.all(ir.Import))
    django = "INSTALLED_APPS" in module.top.names
    for each in module.all(ir.Assign):
        target = each.target
        hung = framework and isinstance(target, ir.Attr | ir.Index) and each.within is None
        plain = django and isinstance(target, ir.Name)
        named = (hung or plain) and last_name(target).lower() == "secret_key"
        if named and isinstance(each.value, ir.Lit):
            yield module, last_name(target), each.value


_KEYED = {"sign", "verify", "encode", "decode", "session", "expressSession", "cookieSession"}
_SIGNERS_JS = re.compile(r"^(jsonwebtoken|jose|express-session|cookie-session|jwt|PyJWT|python_jose)\b")


def _signed_plainly(ctx: Context, module: Module) -> Iterator[tuple[Module, str, ir.Lit]]:
    """The literal that a token is signed or read with, or an Express session's `secret`, also through a constant."""
    calls = module.calls(_KEYED)
    if not calls or not any(each in module.lowered for each in ("sign", "jwt", "session")):
        return
    for call in calls:
        if not _SIGNERS_JS.match(ctx.program.origin(module, call.func)) or verifies_nothing(module, call):
            continue
        key = ir.keyword(call, "secret", "keys", "key") or (call.args[1] if call.args[1:] else None)
        if key is None and call.args and isinstance(call.args[0], ir.Obj):
            key = call.args[0].get("secret", "keys")
        for where, node in trace(ctx, module, key):
            if isinstance(node, ir.Lit) and (node is key or isinstance(node.parent, ir.Assign | ir.Prop)):
                if node is key and is_believed_by_nobody(ctx, call, str(node.value)):
                    continue
                name = last_name(node.parent.target) if isinstance(node.parent, ir.Assign) else ""
                yield where, name, node


_CIPHERS = {
    "createCipheriv",
    "createDecipheriv",
    "createCipher",
    "createDecipher",
    "Fernet",
    "encrypt",
    "decrypt",
}
_OF_CIPHERS = re.compile(r"^((node:)?crypto|crypto-js|cryptography)\b")
_MAKES_KEY = {"from", "update", "digest", "scryptSync", "pbkdf2Sync", "parse", "createHash", "encode", "b64encode",
              "urlsafe_b64encode", "sha256", "padEnd", "slice"}  # fmt: skip


def _encrypted_plainly(ctx: Context, module: Module) -> Iterator[tuple[Module, str, ir.Lit]]:
    """The literal that a cipher's key is made of, at once or through a constant: whoever reads it can decrypt."""
    for call in module.calls(_CIPHERS):
        if not _OF_CIPHERS.match(ctx.program.origin(module, call.func)):
            continue
        key = call.args[0] if last_name(call.func) == "Fernet" else call.args[1] if call.args[1:] else None
        for each in (
            (key, *(one.value for one in bindings_of(module, key) if not one.keys)) if key is not None else ()
        ):
            lit = _made_of(each)
            if lit is not None:
                held = ir.enclosing(lit, ir.Assign)
                yield module, last_name(held.target) if held is not None else "", lit
                break


def _made_of(node: ir.Node | None) -> ir.Lit | None:
    """The text of `createHash("sha256").update("…").digest()`, `Buffer.from("…")`; None where anything else goes in."""
    if isinstance(node, ir.Lit):
        return node if isinstance(node.value, str) and len(node.value) > 3 else None
    if not isinstance(node, ir.Call) or last_name(node.func) not in _MAKES_KEY:
        return None
    if last_name(node.func) == "digest":
        return _made_of(node.func.obj) if isinstance(node.func, ir.Attr) else None
    return _made_of(node.args[0]) if node.args and last_name(node.func) != "createHash" else None


_SIGNERS = re.compile(
    r"^(jwt|jose|joserfc|itsdangerous|hmac|django|rest_framework|authlib|fastapi_users"
    r"|(flask|quart)_(login|wtf|jwt|session|security|httpauth|user|admin)\w*)(\.|$)"
)
_SIGNED = {"session", "flash", "SessionMiddleware"}
"""What a framework signs with its key, once a product asks for it."""


def _signs(ctx: Context) -> bool:
    """Whether a Python product signs something: a `SECRET_KEY` is a setting of frameworks that many never use."""
    return any(_signs_in(module) for module in ctx.live if module.language == "python")


def _signs_in(module: Module) -> bool:
    for each in module.all(ir.Import):
        if _SIGNERS.search(each.module) or _SIGNED & {name for name, _ in each.names}:
            return True
    uses: list[ir.Name | ir.Attr] = []
    if "secret_key" in module.lowered:
        uses = [*module.all(ir.Name), *module.all(ir.Attr)]
    return any(last_name(each).upper() == "SECRET_KEY" and not is_set(each) for each in uses)
