"""Secrets in committed notes and exports: settings in text files, keys of further services, tables of accounts.

Part of `secret-in-repo`; keys with the usual forms are in `exposed`, values by their names in `spelled`.
No secret is ever printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.secrets.spelled import is_everybodys
from portraitist.audit.source import SourceFile

_MARKS = ("pdl_", "pcsk_", "AIza")
_FURTHER = re.compile(r"\b(pdl_(live|sdbx)_apikey_\w{20,}|pcsk_\w{40,})\b")
_OF_GOOGLE = re.compile(r"\bAIza[\w-]{35}\b")
_PAID_BY_IT = re.compile(
    r"generativelanguage|GoogleGenerativeAI|google\.generativeai|@google/genai|google\.genai|GEMINI_API_KEY",
    re.I,
)
"""What a key of Google's is charged for; others are made for browsers."""
_NOTES = {".txt", ""}
_LINE = re.compile(r"^\s*(?:export\s+)?(?P<name>[A-Z][A-Z0-9_]{3,})\s*=\s*[\"']?(?P<value>[^\s\"'#]{20,})")
_SECRETISH = re.compile(r"SECRET|TOKEN|SERVICE_(ROLE|KEY)|PRIVATE|API_KEY|PASSWORD|ACCESS_KEY")
_NO_SECRET = re.compile(
    r"your|xxx|example|change|placeholder|<|\.\.\.|insert|todo|dummy|test_|localhost|\$\{|\$\(|^https?:", re.I
)
_GIVEN_OUT = re.compile(r"PUBLIC|ANON|PUBLISHABLE|CLIENT_ID|SITE_KEY|_URL$")

_HASH = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}|pbkdf2_sha256\$\d+\$\w+\$|\$argon2(id|i)\$v=")
_HASHED = re.compile(
    r"\"(passwordHash|password_hash|hashed_password|encrypted_password)\"\s*:\s*\"[^\"]{20,}\""
)
_SAMPLES = re.compile(r"example|sample|fixture|mock|test|schema", re.I)


def committed(ctx: Context) -> Iterator[Finding]:
    """Lines of settings in text files, keys of further services by their form, exports with password hashes."""
    for file in (*ctx.tree.files, *ctx.tree.others):
        if file.role in {"generated", "test", "vendored"} or _SAMPLES.search(file.path.rpartition("/")[2]):
            continue
        said = file.words if file.language in {"javascript", "python"} else file.text
        if any(each in said for each in _MARKS):
            yield from _by_form(file)
        if file.suffix in _NOTES and not file.language and file.role != "doc":
            yield from _settings(file)
        if file.language in {"", "sql"} and (file.suffix in {".json", ".csv"} or file.language == "sql"):
            yield from _accounts(file)


def _by_form(file: SourceFile) -> Iterator[Finding]:
    google = _PAID_BY_IT.search(file.text) is not None
    lines = file.text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > 2000:
            continue
        if _FURTHER.search(line) or (google and _OF_GOOGLE.search(line) and not _is_for_pages(lines, number)):
            yield _found(file, number, "a service's key is committed (redacted)", 88)


_FOR_PAGES = re.compile(r"firebase(?!.*admin)|maps", re.I)
_WEB_APP = re.compile(r"auth_?domain|messaging_?sender|storage_?bucket", re.I)
_NAME = re.compile(r"^\s*(-\s*)?[\"']?(name|variable|key)[\"']?\s*:", re.I)
_VALUE = re.compile(r"^\s*(-\s*)?[\"']?(value|default)[\"']?\s*:", re.I)


def _is_for_pages(lines: list[str], number: int) -> bool:
    """Whether a key of Google's is a page's, which every visitor gets: by its name, or as `apiKey` of a web app.

    In lists of names and values (`- variable: NEXT_PUBLIC_FIREBASE_API_KEY`, `value: …`) the name is the entry beside.
    """
    named = _OF_GOOGLE.sub("", lines[number - 1])
    below = lines[number : number + 3]
    if _VALUE.match(named):
        beside = (*lines[max(0, number - 2) : number - 1], *below[:1])
        named = next((each for each in beside if _NAME.match(each)), "")
    web_app = re.search(r"\bapi_?key", named, re.I) is not None and any(map(_WEB_APP.search, below))
    return _FOR_PAGES.search(named) is not None or (web_app and not re.search(r"gemini|google", named, re.I))


def _settings(file: SourceFile) -> Iterator[Finding]:
    for number, line in enumerate(file.text.split("\n"), 1):
        told = _LINE.match(line) if len(line) < 1000 else None
        if told is None or not _SECRETISH.search(told["name"]) or _GIVEN_OUT.search(told["name"]):
            continue
        if is_everybodys(told["value"]):
            continue
        if not _NO_SECRET.search(told["value"]) and len(re.findall(r"\d", told["value"])) > 2:
            yield _found(file, number, f"a secret in {told['name']} is committed (redacted)", 88)


def _accounts(file: SourceFile) -> Iterator[Finding]:
    """An export of accounts: at its first hash. A single one is a seed's, which says less."""
    shape = _HASHED if file.suffix == ".json" else _HASH
    lines = [number for number, line in enumerate(file.text.split("\n"), 1) if shape.search(line)]
    if lines:
        several = len(lines) > 1
        message = (
            f"password hashes of {len(lines)} accounts are committed"
            if several
            else "a password's hash is committed"
        )
        yield _found(file, lines[0], message, 86 if several else BARELY)


def _found(file: SourceFile, line: int, message: str, weight: int) -> Finding:
    return Finding("secret-in-repo", file.path, line, line, message, str(line), "", (), weight)
