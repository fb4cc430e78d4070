"""Secrets spelled out in code under a name that says so, without a form of their own. Part of `secret-in-repo`.

Keys with a known form, and values in environment files, are in `exposed`, keys that sign in `signing`.
No secret is ever printed.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding
from portraitist.audit.rules.base import runs_in_browser
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.source import SourceFile

_NAMED = re.compile(
    r"(secret|secret_?key|api_?key|(access|auth|bearer|api|refresh|bot|admin|service)_?token|passw(or)?d|private_?key"
    r"|access_?key|service_?key|encryption_?key|signing_?key|jwt_?key|authorization)$",
    re.I,
)
_PUBLIC_NAME = re.compile(
    r"anon|public|publishable|client_?id|site_?key|placeholder|label|test|mock|example|hint", re.I
)
_NO_SECRET = re.compile(
    r"your|xxx|example|placeholder|change[-_]?(me|this|it|in)|<|>|\.\.\.|here$|insert|todo|dummy|1234567|\{|\$|^(pk_|pi_|seti_|cs_|pub|phc_|AIza|0x|https?:|/|\.|sha\d|test)"
    r"|^[a-z]+([_.:-][a-z]+)*[_.:-]?\d{1,4}$"
    r"|^test|pass|(?-i:^[A-Z][A-Z0-9_]+$)|^[a-z]+([_.:-][a-z]+)*$|\s",
    re.I,
)
_JWT = re.compile(r"\beyJ[\w-]{10,}\.(eyJ[\w-]{10,})\.[\w-]{20,}")
_ADDRESS = re.compile(
    r"\b(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|rediss?|amqps?)(?:\+\w+)?://[\w.-]*:(?P<word>[^@\s:/'\"${}<>]{6,})@"
    r"(?P<host>[\w.-]+\.[a-z]{2,})\b"
)
_SIGNED = re.compile(
    r"/object/sign/(?P<path>[^\s\"'`?]+)\?token=(?P<token>eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,})"
)
_SHOWN = re.compile(r"\.(png|jpe?g|webp|gif|svg|avif|mp4|webm|mp3|wav|woff2?|ico)$", re.I)
"""Files that pages show to everybody, as a rule."""
_SETS_TESTS_UP = re.compile(r"(^|/)(playwright|vitest|jest|cypress)\.(config|setup)\.\w+$")
_PLAIN_WORDS = re.compile(
    r"^(password|postgres|secret|changeme|change_me|admin|root|user|pass|mysecretpassword)$", re.I
)


def spelled(ctx: Context) -> Iterator[Finding]:
    """Secrets by the name they are given in live code, service keys that are tokens, passwords in addresses.

    In code for browsers, a key of no known form may be one that its service gives out to everybody, and a password in a
    script that of an account which it makes to try things out: the report's list leaves both out.
    """
    for module in (each for each in ctx.live if not _SETS_TESTS_UP.search(each.path)):
        for name, lit in _named_literals(module):
            if _is_secret(name, lit):
                tried = module.role == "script" and name.lower().endswith(("password", "passwd"))
                unknown = (BARELY if runs_in_browser(module) or tried else 78, "a secret")
                graded = _SERVICE_ROLE if serves(str(lit.value)) else unknown
                graded = (BARELY, "a token for some days") if _is_brief(str(lit.value)) else graded
                yield _found(module.path, lit.line, name, *graded)
    for file in (*ctx.tree.files, *ctx.tree.others):
        if file.role not in {"generated", "test", "vendored"} and ("://" in file.text or "eyJ" in file.text):
            yield from _in_text(file)
    configured = (each for each in ctx.tree.files if each.language == "config")
    for file in (*configured, *ctx.tree.others):
        if file.role not in {"generated", "test", "vendored", "doc"} and not _SHOWS_HOW.search(file.path):
            yield from _unparsed(file)


_SHOWS_HOW = re.compile(
    r"\.github/workflows|example|sample|template|(^|/)(openapi|swagger)|google-services|GoogleService", re.I
)
_SET = re.compile(
    r"(?P<name>[A-Za-z][\w-]*)[\"']?\s*(?::\s*[\w?]+\s*)?[:=]\s*(?P<quote>[\"'])?(?P<value>[^\"'\s,;]{16,})(?(quote)[\"'])"
)
_BARE = {".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".xcconfig", ".sh"}
"""Where a value may stand without quotes."""
_GIVEN_OUT = re.compile(r"^(appl_|goog_|eyJ|[A-Z][A-Za-z]*\.|[\w.]+\()")
"""Keys that a shop's library gives to every app, tokens that are judged by what they say, and expressions."""


def _unparsed(file: SourceFile) -> Iterator[Finding]:
    """Values under the name of a secret in languages that are not parsed: `static let apiKey = "…"`."""
    for number, line in enumerate(file.text.split("\n"), 1):
        found = _SET.search(line) if len(line) < 500 else None
        bare = file.language == "config" or file.suffix in _BARE
        if found is None or not (found.group("quote") or bare):
            continue
        name, value = found.group("name"), found.group("value")
        if _names_secret(name) and not _GIVEN_OUT.search(value) and _looks_secret(value):
            yield _found(file.path, number, name, 78, "a secret")


def _in_text(file: SourceFile) -> Iterator[Finding]:
    prose = file.role == "doc" or file.path.endswith(".md")
    for number, line in enumerate(file.text.split("\n"), 1):
        if len(line) >= 2000:
            continue
        if file.language != "env" and serves(line):
            yield _found(file.path, number, "", *_SERVICE_ROLE)
        elif not prose and _opens(line):
            yield _found(file.path, number, "", 84, "a database's address with its password")
        elif "/object/sign/" in line and (signed := _SIGNED.search(line)):
            weight = BARELY if prose or _SHOWN.search(signed["path"]) or _is_brief(signed["token"]) else 66
            yield _found(file.path, number, "", weight, "a signed address of a stored file, with its token,")


_SERVICE_ROLE = (91, "a service-role token of the database")
"""Weight and words of what opens all of a database."""


def _found(path: str, line: int, name: str, weight: int, what: str) -> Finding:
    message = f"{what}{' in ' + name if name else ''} is committed (redacted)"
    return Finding("secret-in-repo", path, line, line, message, name or str(line), "", (), weight)


def _named_literals(module: Module) -> Iterator[tuple[str, ir.Lit]]:
    """Literals with the name of the key, variable, attribute or parameter they are given to."""
    for lit in module.all(ir.Lit):
        parent = lit.parent
        if not isinstance(lit.value, str) or len(lit.value) < 12 or parent is None:
            continue
        if isinstance(parent, ir.Prop) and parent.key and parent.value is lit:
            yield parent.key, lit
        elif isinstance(parent, ir.Assign) and parent.value is lit:
            yield ir.dotted(parent.target).rpartition(".")[2], lit


def _is_secret(name: str, lit: ir.Lit) -> bool:
    return _names_secret(name) and _looks_secret(str(lit.value))


def _looks_secret(value: str) -> bool:
    """Whether a text is none of the plain words, names and holes that stand where a secret will."""
    text = _plain(value.removeprefix("Bearer ").removeprefix("Token ").removeprefix("Basic "))
    if _NO_SECRET.search(text) or is_everybodys(text):
        return False
    return len(re.findall(r"\d", text)) > 2 and bool(re.search(r"[A-Za-z]{2}", text))


_CODED = re.compile(r"(?:[A-Za-z0-9+/]{4}){3,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")


def _plain(text: str) -> str:
    """What a value says, also where it is written in base64, as in the secrets of Kubernetes."""
    if not _CODED.match(text):
        return text
    said = base64.b64decode(text)
    return said.decode("ascii").strip() if all(32 <= each < 127 or each == 10 for each in said) else text


def is_everybodys(text: str) -> bool:
    """Whether a token is made for everybody: the visitors' (`anon`), or the one of every local database of Supabase."""
    parts = text.split(".")
    said = _payload(parts[1]) if len(parts) == 3 and text.startswith("eyJ") else {}
    return said.get("iss") == "supabase-demo" or said.get("role") == "anon"


@functools.cache
def _names_secret(name: str) -> bool:
    plain = re.sub(r"[-\s]", "_", name)
    return _NAMED.search(plain) is not None and not _PUBLIC_NAME.search(plain)


def serves(line: str) -> bool:
    """Whether a line holds a signed token of the service role, which passes by every policy of the database."""
    for found in _JWT.finditer(line) if "eyJ" in line else ():
        payload = _payload(found.group(1))
        if payload.get("role") == "service_role" and payload.get("ref"):
            return True
    return False


def _payload(token: str) -> dict[str, object]:
    """What a signed token says, {} where it cannot be read."""
    try:
        said = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _is_brief(value: str) -> bool:
    """Whether a token ends within a month of its issue by its own word: a visitor's session, no key of the product."""
    found = _JWT.search(value) if "eyJ" in value else None
    said = _payload(found.group(1)) if found is not None else {}
    issued, ends = said.get("iat"), said.get("exp")
    return isinstance(issued, int) and isinstance(ends, int) and 0 < ends - issued <= 31 * 86400


def _opens(line: str) -> bool:
    """Whether a line holds the address of a database elsewhere, with its password."""
    found = _ADDRESS.search(line) if "://" in line else None
    plain = found is not None and (
        _PLAIN_WORDS.match(found.group("word"))
        or re.search(r"your|xxx|example|\*{3}|^pass|placeholder|\.local", found.group(), re.I)
    )
    return found is not None and not plain
