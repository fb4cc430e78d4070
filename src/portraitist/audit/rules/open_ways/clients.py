"""Clients of a database: which pass by every policy, and which were made on a server for no visitor. Of `open_data`."""

from __future__ import annotations

import re

from portraitist.audit import ir
from portraitist.audit.facts.base import Context, Statement
from portraitist.audit.facts.db_chain import SOURCES
from portraitist.audit.facts.db_common import call_name, chain_calls
from portraitist.audit.facts.mounts import creations
from portraitist.audit.link.module import Module
from portraitist.audit.link.values import OneOf, Outside, fold
from portraitist.audit.rules.base import names_in

_SERVICE = re.compile(r"service|secret|admin", re.I)


def all_rights_behind(ctx: Context, module: Module, client: ir.Node) -> bool:
    """Whether a client's name, or the key it was made with, says that no policy holds for it."""
    return bool(_SERVICE.search(ir.dotted(client))) or any(
        _with_all_rights(ctx, each) for each in creations(ctx, module, client)
    )


def client_of(ctx: Context, statement: Statement) -> ir.Node | None:
    """The client that a statement asks with, None where it connects as the owner of the database."""
    called = [each for each in chain_calls(statement.node) if call_name(each) in SOURCES]
    source = next((each for each in called if each.args and isinstance(each.func, ir.Attr)), None)
    if source is None or not isinstance(source.func, ir.Attr):
        return None
    if not isinstance(fold(ctx.ev.eval(statement.module, source.args[0])), str | list):
        return None  # a table object of a query builder
    return source.func.obj


def has_all_rights(ctx: Context, statement: Statement) -> bool:
    """Whether no policy holds for a statement: it connects as the owner, or with a key that is named after that."""
    if statement.signed is not None:
        return any(_SERVICE.search(each) for each in statement.signed)
    client = client_of(ctx, statement)
    return client is None or all_rights_behind(ctx, statement.module, client)


_PUBLIC = re.compile(r"anon|publi(c|sh)able|public_?key", re.I)


def is_asked_for_nobody(ctx: Context, statement: Statement) -> bool:
    """Whether a statement is asked with the key alone that every visitor knows, on a server and for no visitor."""
    if statement.signed is not None:
        return bool(statement.signed) and all(_PUBLIC.search(each) for each in statement.signed)
    client = client_of(ctx, statement)
    return client is not None and is_without_visitor(ctx, statement.module, client)


_LIBRARIES = ("@supabase/supabase-js.createClient", "supabase.create_client", "supabase.Client")
_TOLD_WHO = {"global", "accessToken", "headers", "Authorization", "cookies"}
_SIGNS_IN = re.compile(
    r"setSession|set_session|signIn|sign_in|postgrest\.auth|set_auth|storageKey|persistSession: true"
)
_SESSIONS = re.compile(
    r"setSession|set_session|signIn|sign_in|signUp|sign_up|set_auth|verifyOtp|verify_otp|exchangeCode|exchange_code"
    r"|auth-ui-react|getSession|get_session|auth\.getUser|auth\.get_user|onAuthStateChange"
)
"""What is named where anybody is signed in at Supabase's, or asked for."""


def is_without_visitor(ctx: Context, module: Module, client: ir.Node) -> bool:
    """Whether a client was plainly made on the server: nobody tells it whose session it asks with.

    In a program that signs nobody in there is no session, whatever the client would do with one.
    """
    if not ctx.once(_knows_sessions):
        return _is_plain(ctx, module, client, re.compile(r"(?!)"))
    return not _SIGNS_IN.search(module.file.text) and _is_plain(ctx, module, client, _SIGNS_IN)


def _knows_sessions(ctx: Context) -> bool:
    """Whether any file of the program signs somebody in, or asks who is."""
    return any(_SESSIONS.search(each.file.text) for each in ctx.modules)


def _is_plain(ctx: Context, module: Module, client: ir.Node, spoils: re.Pattern[str]) -> bool:
    """Whether every call that makes a client is the library's, and tells it nobody."""
    made = creations(ctx, module, client)
    for each in made:
        where = _file_of(ctx, each)
        if where is None or not isinstance(each, ir.Call) or spoils.search(where.file.text):
            return False
        if not ctx.program.origin(where, each.func).startswith(_LIBRARIES):
            return False
        options = (
            one for part in (*each.args[2:], each.kw) if part is not None for one in ir.find(part, ir.Prop)
        )
        if any(one.key in _TOLD_WHO for one in options):
            return False
    return bool(made)


_MAKERS = re.compile(
    r"(@supabase/[\w-]+|supabase)\.(createClient|create(Browser|Server|RouteHandler|ServerComponent|ServerAction"
    r"|ClientComponent|PagesServer|Middleware|Pages\w*|RouteHandlerSupabase|ServerSupabase)Client|create_client)$"
)


def is_browsers(ctx: Context, statement: Statement) -> bool:
    """Whether a statement's client is made with the key that every browser has, be it with a visitor's cookies.

    Every place that makes it must say so; a helper of Supabase's that is told no key takes that one.
    """
    client = client_of(ctx, statement)
    made = creations(ctx, statement.module, client) if client is not None else []
    return bool(made) and all(_with_public_key(ctx, each) for each in made)


def _with_public_key(ctx: Context, made: ir.Node) -> bool:
    where = _file_of(ctx, made)
    if where is None or not isinstance(made, ir.Call) or _SIGNED_IN.search(where.file.text):
        return False
    origin = ctx.program.origin(where, made.func)
    if not _MAKERS.match(origin) or _with_all_rights(ctx, made) or _names(made, _SERVICE):
        return False
    if "auth-helpers" in origin:
        return True
    values = [ctx.ev.eval(where, each) for each in made.args[1:2]]
    keys = [one for each in values for one in (each.options if isinstance(each, OneOf) else [each])]
    said = [each.name for each in keys if isinstance(each, Outside)]
    if any(_SERVICE.search(each) for each in said):
        return False
    return any(_PUBLIC.search(each) for each in said) or any(_names(each, _PUBLIC) for each in made.args[1:2])


_SIGNED_IN = re.compile(r"setSession|set_session|signIn|sign_in|set_auth|\bAuthorization\b|accessToken:")


def _names(node: ir.Node, words: re.Pattern[str]) -> bool:
    return any(words.search(each) for each in names_in(node))


def _file_of(ctx: Context, node: ir.Node) -> Module | None:
    """The file that a node stands in."""
    return ctx.once(_modules_by_body).get(next(reversed([*ir.ancestors(node)]), None))


def _modules_by_body(ctx: Context) -> dict[ir.Node | None, Module]:
    return {each.body: each for each in ctx.modules}


def _with_all_rights(ctx: Context, made: ir.Node) -> bool:
    """Whether a client was made with the key that passes by every policy: by the name of its maker or of the key."""
    if not isinstance(made, ir.Call):
        return False
    if _SERVICE.search(ir.dotted(made.func)):
        return True
    module = _file_of(ctx, made)
    values = [ctx.ev.eval(module, each) for each in made.args[1:2]] if module is not None else []
    keys = [each for value in values for each in (value.options if isinstance(value, OneOf) else [value])]
    return any(isinstance(each, Outside) and _SERVICE.search(each.name) for each in keys)
