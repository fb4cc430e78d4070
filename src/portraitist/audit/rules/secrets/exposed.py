"""Risks of secrets: those a browser is given, and those that are committed. None is ever printed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.model import LIVE_ROLES, Finding, Place
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.secrets import committed, doors, given, signing, spelled
from portraitist.audit.rules.secrets.made_public import is_bundled, made_public, read_by_pages
from portraitist.audit.rules.secrets.sent import sent_to_a_given_address
from portraitist.audit.rules.secrets.served import served
from portraitist.audit.source import SourceFile

_PUBLIC = re.compile(r"^(NEXT_PUBLIC|VITE|REACT_APP|EXPO_PUBLIC|NUXT_PUBLIC|PUBLIC)_")


_SECRETISH = re.compile(r"SECRET|TOKEN|SERVICE_(ROLE|KEY)|PRIVATE|API_KEY|PASSWORD")


_STRONG = re.compile(r"REPLICATE|SECRET|SERVICE|PRIVATE|PASSWORD|OPENAI|ANTHROPIC")
"""What is never made for browsers, whatever it is handed to."""
_HARMLESS = re.compile(
    r"ANON|PUBLISHABLE|PUBLIC_KEY|INSTANCE_TOKEN|MAPS|ANALYTICS|POSTHOG|FIREBASE_API_KEY|SITE_KEY|MAPBOX|RECAPTCHA|SENTRY|PIXEL|CLERK_P|ALGOLIA|(?:PADDLE|BRAINTREE|SQUARE|MERCADO_?PAGO)_\w*(?:CLIENT|PUBLIC)_TOKEN|TOKENS?_(?:PER|COST|LIMIT)|GOOGLE_API_KEY|SHOPIFY_API_KEY|PRICE"
    r"|_(?:POLICY|URL|NAME|PATH|PAGE|ROUTE|LENGTH|EXPIR\w*|TTL|ENABLED)$"
)


_PLACEHOLDER = re.compile(
    r"your|xxx|example|change|placeholder|<|\.\.\.|secret_?key_?here|insert|todo|dummy|test|localhost|\$\{"
    r"|^\[|configure|^(set|add|put|paste|fill|replace|seu|sua|tu|su|votre|dein|uw|jouw)[-_]|[-_](aqui|ici|hier)$",
    re.I,
)


_NO_KEY = re.compile(
    r"x{6,}|([A-Za-z])\1{7}|1234567|abcdef|abc123|123abc|\*{3}|\.\.\.|your|example|placeholder|dummy|change_?me|[-_](fake|mock|sample|demo)[-_]|^sk-\D*$",
    re.I,
)
"""What has a key's form and says of itself that it is none."""


# What the secrets of the pattern begin with, or stand beside; looking for these first is much quicker, and quickest by
# the rarest letter of each: r8_, sk-, sk_, rk_live_, AKIA, ghp_, github_pat_, whsec_, hf_, xox, xai-, pplx-,
# -----BEGIN, SG., GOCSPX-, a bot's :AA, Slack's and Discord's hooks, and names of services whose keys have none.
_MARKS = re.compile(
    r"8(?<=r8)_|k(?:(?<=sk)[-_]|(?<=rk)_live_|(?<=hooks\.slack)\.com|(?<=/api/webhook)s/)|K(?<=AK)IA"
    r"|h(?:(?<=gh)[pousr]_|(?<=gith)ub_pat_|(?<=wh)sec_|f_)|x(?:ox|ai-|(?<=pplx)-)|B(?<=-----B)EGIN|G(?<=SG)\."
    r"|A(?<=:A)A|X(?<=GOCSPX)-|R(?:esend\(|ESEND_)|Y(?<=CLOUDINARY)_URL|F(?:AL_KEY|al_key)"
)


def client_exposed_token(ctx: Context) -> Iterator[Finding]:
    """A secret that the browser gets: read through a public variable, answered by a route, or in a bundler's settings.

    Also one that is sent to an address that the request names (`sent`), and what lies in a folder that is served
    as static files (`served`).
    Also the provider's client in code that runs in the browser. Values that travel through several functions before
    they are answered are not seen (`given`). Keys that are made for browsers are left alone (`made_public`).
    """
    yield from given.handed_over(ctx)
    yield from _bundled(ctx)
    yield from sent_to_a_given_address(ctx)
    yield from served(ctx)
    seen: set[str] = set()
    files: set[tuple[str, str]] = set()
    for fact in ctx.of("env.read"):
        exposed = _PUBLIC.match(fact.key) and _SECRETISH.search(fact.key) and not _HARMLESS.search(fact.key)
        if exposed and fact.role in LIVE_ROLES and (fact.key, fact.path) not in files:
            strong = _STRONG.search(fact.key) is not None
            if ctx.once(made_public, fact.key, strong):
                continue
            again = fact.key in seen
            seen.add(fact.key)
            files.add((fact.key, fact.path))
            message = f"{fact.key} is a secret in a public variable"
            bundled = not fact.key.startswith("NEXT_") or ctx.once(read_by_pages, fact.key)
            again = again or not ctx.once(is_bundled)  # in its own repository no browser gets it
            weight = BARELY if again else 93 if strong and bundled else 56
            yield Finding(
                "client-exposed-token",
                fact.path,
                fact.line,
                fact.line,
                message,
                fact.key,
                fact.scope,
                (),
                weight,
            )
    for call in ctx.calls:
        first = call.module.body.parts[0] if call.module.body.parts else None
        if (
            ir.text_of(first or call.call) == "use client"
            and not _TYPED_IN.search(call.module.file.text)
            and ctx.role_at(call.module, call.call) in LIVE_ROLES
        ):
            yield finding(
                "client-exposed-token",
                call.module,
                call.call,
                f"{call.api} runs in the browser, which needs the token there",
                key=call.api,
                weight=85,
            )


_TYPED_IN = re.compile(r"\[\s*(api_?key|token|replicate_?(api_?)?(key|token))\s*,\s*set\w+\s*\]", re.I)
"""A page's state for a key: the visitor types in an own one."""


def _bundled(ctx: Context) -> Iterator[Finding]:
    """`import { REPLICATE_API_TOKEN } from "@env"`: a plugin of React Native puts the text into the app."""
    for module in ctx.live:
        for each in module.all(ir.Import) if "env" in module.file.words else ():
            for name, _ in each.names if each.module in {"@env", "react-native-dotenv"} else ():
                if _SECRETISH.search(name) and not _HARMLESS.search(name):
                    message = f"{name} is put into the app, where everybody can read it"
                    yield finding("client-exposed-token", module, each, message, key=name, weight=90)


def secret_in_repo(ctx: Context) -> Iterator[Finding]:
    """A provider's key in a committed file, by its form; values in environment files that are no placeholder.

    Also secrets by the name they are given in code, and keys that sign with a text of the source (`signing`),
    or passwords of offices (`doors`), and what stands in notes and exports (`committed`).
    The secret itself is never printed.
    """
    known: set[tuple[str, int]] = set()
    texts = {each.path: each.text for each in (*ctx.tree.files, *ctx.tree.others)}
    first: dict[str, Place] = {}
    ways = (spelled.spelled(ctx), committed.committed(ctx), signing.known_keys(ctx), doors.open_doors(ctx))
    for each in (*_by_form(ctx), *itertools.chain.from_iterable(ways)):
        if (each.path, each.line) not in known:
            known.add((each.path, each.line))
            yield _again(each, texts.get(each.path, ""), first)


_PIECE = re.compile(r"(?!eyJ)[\w-]{20,}")
"""A part of a line that may be a secret; the heads of two tokens are the same whatever they say."""


def _again(finding: Finding, text: str, first: dict[str, Place]) -> Finding:
    """The finding, with the place where the same secret was found before: in an address, under another name."""
    if not finding.message.endswith("(redacted)"):
        return finding
    line = text.split("\n")[finding.line - 1 : finding.line]
    pieces = [each for each in _PIECE.findall("".join(line)) if len(re.findall(r"\d", each)) > 2]
    before = next((first[each] for each in pieces if each in first), None)
    for each in pieces:
        first.setdefault(each, finding.place)
    if before is None or before in finding.evidence:
        return finding
    return replace(finding, evidence=(*finding.evidence, before))


def _by_form(ctx: Context) -> Iterator[Finding]:
    seen: dict[str, Place] = {}
    for file in (*ctx.tree.files, *ctx.tree.others):
        if file.role == "generated" or (file.role == "test" and file.suffix == ".txt"):
            continue  # what a tool's test is given to read
        example = re.search(r"example|sample|template|dist|defaults", file.path.rpartition("/")[2], re.I)
        for number, line in _telling_lines(file):
            if len(line) > 2000:
                continue
            found = ctx.words.patterns["secret"].search(line) if _MARKS.search(line) else None
            real = found and not _NO_KEY.search(found.group()) and _has_body(file, number, line, found)
            if found and file.role == "test" and found.group().startswith("whsec_"):
                real = None  # a signature's test vector needs a key; it opens nothing
            if real or (file.language == "env" and not example and _env_secret(line, file.text)):
                key = _name_of(line[: found.start()] if found and real else line[: line.find("=") + 1])
                message = f"a secret{' in ' + key if key else ''} is committed (redacted)"
                nothing = _OPENS_NOTHING.match(key) or (
                    found and _SIGNED_ADDRESS.search(line, 0, found.start())
                )
                weight = BARELY if nothing else 91 if file.role != "test" else 38
                here = Place(file.path, number)
                first = seen.setdefault(found.group() if found and real else line.strip(), here)
                again = () if first is here else (first,)
                yield Finding("secret-in-repo", file.path, number, number, message, key, "", again, weight)


_BODY = re.compile(r"[A-Z ]*(-----)?([\"'`+,\s]|\\+[nr])*(Proc-Type|[A-Za-z0-9+/]{40})")


def _has_body(file: SourceFile, number: int, line: str, found: re.Match[str]) -> bool:
    """Whether the heading of a private key has a key behind it: guides and programs write the heading alone."""
    if not found.group().startswith("-----BEGIN"):
        return True
    following = file.text.split("\n")[number : number + 2]
    return _BODY.match("\n".join([line[found.end() :], *following])) is not None


_NAMED = re.compile(r"([A-Za-z_]\w{0,39})[\"'`]?\s*(?::\s*[\w?]+\s*)?[:=]>?\s*[\"'`]?(?:\w+ )?$")
_BEGINS = re.compile(r"\s*(?:export\s+)?(?:(?:const|let|var)\s+)?[\"']?([A-Za-z_]\w{0,39})[\"']?\s*[:=](?!=)")


def _name_of(before: str) -> str:
    """The name that a secret is given: the one right before it, or the one that its line begins with.

    Never a piece of a secret: what stands behind its beginning is not looked at, nor a name with many digits.
    """
    found = _NAMED.search(before) or _BEGINS.match(before)
    name = found.group(1) if found else ""
    return "" if len(re.findall(r"\d", name)) > 2 else name


_SIGNED_ADDRESS = re.compile(r"https?://\S*(AWSAccessKeyId|X-Amz-Credential)=$")


def _telling_lines(file: SourceFile) -> Iterator[tuple[int, str]]:
    """The lines of a file, with their numbers, that have a mark of a secret; all of them in an environment file."""
    text = file.text
    if file.language == "env":
        yield from enumerate(text.split("\n"), 1)
        return
    number, start, end = 1, 0, -1
    for mark in _MARKS.finditer(text):
        if mark.start() > end:
            before, start = start, text.rfind("\n", 0, mark.start()) + 1
            number += text.count("\n", before, start)
            end = text.find("\n", start)
            yield number, text[start : end if end >= 0 else len(text)]
            if end < 0:
                return


_OPENS_NOTHING = re.compile(r"AWS_ACCESS_KEY_ID|VERCEL_OIDC_TOKEN")
"""Half of a pair, and a token that is gone within hours. So is a signed address, which holds the same half."""


def _env_secret(line: str, text: str) -> bool:
    """Whether a line of an environment file sets a secret: neither a placeholder nor what the file says is public.

    A signed token is judged by what it says of itself, whatever its name says.
    """
    if spelled.serves(line):
        return True
    found = re.match(r"^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)\s*=\s*[\"']?([^\s\"'#]{16,})", line)
    return bool(
        found
        and _SECRETISH.search(found.group(1))
        and not _HARMLESS.search(found.group(1))
        and not _PLACEHOLDER.search(found.group(2))
        and found.group(1).lower() not in found.group(2).lower()  # `CLIENT_SECRET=my_client_secret`
        and not spelled.is_everybodys(found.group(2))
        and (
            found.group(2).startswith("eyJ")
            or found.group(2) not in (each[1] for each in _FOR_ALL.findall(text))
        )
    )


_FOR_ALL = re.compile(
    r"^\s*(?:export\s+)?(\w*(?:(?<![A-Z])ANON(?![A-Z])|PUBLISHABLE)\w*)\s*=\s*[\"']?([^\s\"'#]{16,})", re.M
)
"""Variables of keys that visitors are given, with their values."""
