"""Passwords of offices and machines that stand in the source: a setting's default, or the very text compared.

Whoever reads the code can come in. Part of `secret-in-repo`; keys that sign are in `signing`, others in `spelled`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.asking import EQUALITY
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.facts.denial import exits
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, runs_in_browser
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.secrets.holders import holders, mentions
from portraitist.audit.rules.secrets.signing import refused
from portraitist.audit.rules.syntax import leaves_within

_OPENS = re.compile(
    r"(admin|office|internal|cron|owner|master|root|staff|dashboard|panel|site|basic_auth|webhook|worker|service|api|app|access"
    r"|super_?user|setup|debug|maintenance)_*(\w+_)?(token|password|passwd|pass|pwd|secret|key|pin|passcode|code)$"
    r"|^(password|passcode|access_code|secret)$"
    r"|^(admin|office|staff|panel|dashboard|master)_(password|passwd|passcode)_(?!\w*(hash|salt|length|min|max|file|path|url|header"
    r"|name|hint|expir|reset|policy|rounds|days))\w+$"
)
"""What lets somebody in by its name, in snake case."""
_ASKED = re.compile(
    r"(^|_)(password|passwd|passcode|pwd|pin_code|access_code|(admin|cron|internal|master)_\w*(key|token|secret))$"
)
_NO_WORD = re.compile(
    r"^$|\s|^(password|text|string|required|invalid|undefined|null|none|\*+|bearer.*|basic.*)$|[<{$]", re.I
)
_SAME = re.compile(r"compare_digest|timingSafeEqual|safe_?compare|secure_?compare", re.I)


def open_doors(ctx: Context) -> Iterator[Finding]:
    """Settings with a text to fall back on that a test compares with what a caller sent, and texts compared plainly.

    Not where the file, a branch around or a test says that the text is for developers; not in tests and scripts.
    Whether the setting is always set is not known.
    """
    for fact in ctx.of("env.default"):
        module = ctx.program.modules.get(fact.path)
        text = fact.value if isinstance(fact.value, str) else ""
        if (
            module is None
            or module.role != "src"
            or fact.role not in LIVE_ROLES
            or not _OPENS.search(snake(fact.key))
        ):
            continue
        if _NO_WORD.search(text) or refused(ctx, module, fact.line, fact.key, text):
            continue
        doors = [
            each
            for each in holders(ctx, module, fact.line, fact.key)
            if each[0].language == module.language and _is_compared(*each)
        ]
        if doors:
            tried = all(_for_trials(*each) for each in doors)
            message = (
                f"where {fact.key} is not set, a text that everybody who reads this code knows lets them in"
            )
            weight = BARELY if tried else 72
            yield Finding(
                "secret-in-repo",
                fact.path,
                fact.line,
                fact.end_line,
                message,
                fact.key,
                fact.scope,
                (),
                weight,
            )
    for module in ctx.live:
        yield from _put_in(module)
        if module.role == "src" and module.path not in ctx.dead_modules:
            yield from _compared_plainly(module)
            yield from _compared_with_constant(module)


_HASHES = {
    "hash",
    "hashSync",
    "generate_password_hash",
    "make_password",
    "hash_password",
    "get_password_hash",
    "hashpw",
}
_OF_WORDS = re.compile(r"bcrypt|argon|passw|pwd|crypt|scrypt", re.I)


def _put_in(module: Module) -> Iterator[Finding]:
    """`bcrypt.hash("password123", 10)`: a password that accounts are made with, whoever runs the seed. JSON only.

    Also an account of the office that is written down whole: `{ username: "admin", password: "…", isAdmin: true }`.
    """
    for call in module.calls(_HASHES):
        text = ir.text_of(call.args[0]) if call.args else None
        if text and len(text) > 3 and not _NO_WORD.search(text) and _OF_WORDS.search(ir.dotted(call.func)):
            message = "accounts are made with a password that everybody who reads this code knows"
            yield finding("secret-in-repo", module, call, message, key=f"made {call.line}", weight=BARELY)

    browser = module.path.endswith((".tsx", ".jsx", ".html")) or runs_in_browser(module)
    for entry in (
        ()
        if browser or module.role != "src" or _FOR_TESTS.search(module.path)
        else module.entries.get("password", ())
    ):
        text, whole = ir.text_of(entry.value), entry.parent
        known = isinstance(whole, ir.Obj) and text and len(text) > 3 and not _NO_WORD.search(text)
        if known and isinstance(whole, ir.Obj) and _is_of_office(whole):
            message = (
                "an account of the office is made with a password that everybody who reads this code knows"
            )
            yield finding("secret-in-repo", module, entry, message, key=f"office {entry.line}", weight=BARELY)


def _is_of_office(account: ir.Obj) -> bool:
    """Whether an object is an account with a name and with more rights than others, all of it written down."""
    named = any(ir.text_of(account.get(key)) for key in ("username", "email", "login"))
    return named and any(
        (isinstance(each.value, ir.Lit) and each.value.value is True and _OFFICE.match(snake(each.key or "")))
        or (each.key == "role" and _OFFICE.match(f"is_{(ir.text_of(each.value) or '').lower()}"))
        for each in account.props
    )


_FOR_TESTS = re.compile(r"test|mock|fixture|demo|example", re.I)
_OFFICE = re.compile(r"^is_(super_?)?(admin|administrator|staff|superuser|owner)$")


def _is_compared(module: Module, name: str) -> bool:
    """Whether a file compares something with a setting of that name, or hands it to a comparison."""
    for each in module.all(ir.Bin):
        if each.op in EQUALITY and each.right is not None:
            sides = (each.left, each.right)
            told = [mentions(module, one, name) for one in sides]
            plain = any(isinstance(one, ir.Lit) for one in sides)
            if any(told) and not plain:
                return True
    return any(
        _SAME.search(ir.dotted(call.func)) and any(mentions(module, arg, name) for arg in call.args)
        for call in module.calls(
            {"compare_digest", "timingSafeEqual", "safeCompare", "secure_compare", "safe_compare"}
        )
    )


_TRIALS = re.compile(r"(^|_)(test|stub|mock|fake|debug|demo|dev|e2e)(_|$)")


def _for_trials(module: Module, name: str) -> bool:
    """Whether each comparison stands beside a setting that opens this door for trials: `stub_mode and given == key`."""
    tests = [
        each
        for each in module.all(ir.Bin)
        if each.op in EQUALITY and each.right is not None and mentions(module, each, name)
    ]
    return bool(tests) and all(
        isinstance(each.parent, ir.Bin)
        and each.parent.op in {"and", "&&"}
        and any(
            _TRIALS.search(snake(last_name(one)))
            for one in (each.parent.left, each.parent.right)
            if isinstance(one, ir.Name | ir.Attr)
        )
        for each in tests
    )


def _compared_plainly(module: Module) -> Iterator[Finding]:
    """`if (password === "letmein")`, where the test lets in or turns away."""
    words = module.file.lowered_words
    if "password" not in words and "passcode" not in words and "_key" not in words:
        return
    for test in module.all(ir.Bin):
        if (
            test.op not in EQUALITY
            or not isinstance(test.right, ir.Lit)
            or not isinstance(test.right.value, str)
        ):
            continue
        text = test.right.value
        if len(text) < 4 or _NO_WORD.search(text) or not _ASKED.search(snake(last_name(test.left))):
            continue
        branch = next((each for each in ir.ancestors(test) if isinstance(each, ir.If)), None)
        inside = branch is not None and test in set(ir.walk(branch.test))
        decides = isinstance(test.parent, ir.Return) or (inside and branch is not None and _lets_in(branch))
        if decides:
            name = last_name(test.left)
            message = f"{name} is compared with a text that everybody who reads this code knows"
            yield finding("secret-in-repo", module, test, message, key=name, weight=76)


_CONSTANT = re.compile(r"(^|_)(password|passwd|passcode|pass)$")


def _compared_with_constant(module: Module) -> Iterator[Finding]:
    """`if (password !== OFFICE_PASSWORD)`, where the constant of the file is a text. Told at the constant."""
    words = module.file.lowered_words
    if "password" not in words and "passcode" not in words:
        return
    told: set[ir.Node] = set()
    for test in module.all(ir.Bin):
        if test.op not in EQUALITY or not isinstance(test.right, ir.Name | ir.Attr):
            continue
        for asked, known in ((test.left, test.right), (test.right, test.left)):
            made = _constant(module, known)
            if made is None or made in told or not _ASKED.search(snake(last_name(asked))):
                continue
            branch = next((each for each in ir.ancestors(test) if isinstance(each, ir.If)), None)
            inside = branch is not None and test in set(ir.walk(branch.test))
            leaves = branch is not None and (leaves_within(branch.then) or _lets_in(branch))
            if isinstance(test.parent, ir.Return) or (inside and leaves):
                told.add(made)
                name = last_name(known)
                message = f"{name} lets in whoever knows it, and everybody who reads this code does"
                yield finding("secret-in-repo", module, made, message, key=name, weight=76)


def _constant(module: Module, node: ir.Node) -> ir.Assign | None:
    """The assignment of a file's own variable that is named for a password and holds a text, and nothing else ever."""
    found = module.lookup(node.id, node) if isinstance(node, ir.Name) else None
    if (
        found is None
        or len(found[1]) != 1
        or not isinstance(node, ir.Name)
        or not _CONSTANT.search(snake(node.id))
    ):
        return None
    text, made = ir.text_of(found[1][0].value), found[1][0].node
    plain = text is not None and len(text) > 3 and not _NO_WORD.search(text)
    return made if plain and isinstance(made, ir.Assign) and made.within is None else None


def _lets_in(branch: ir.If) -> bool:
    """Whether a branch turns somebody away, or lets somebody in and says so."""
    if exits(branch.then) or (branch.other and exits(branch.other)):
        return True
    called = (ir.dotted(each.func) for part in branch.then for each in ir.find(part, ir.Call))
    return any(re.search(r"auth|login|admin|unlock|access|session|cookie", each, re.I) for each in called)
