"""Packages that live code imports and that no list of packages names. Part of `broken-import`.

Only packages that people know by name and that nothing brings along unasked, but for what is written beside them. What
a machine has installed by hand is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.link.module import Module
from portraitist.audit.model import Finding, Place
from portraitist.audit.rules.base import finding
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.syntax import is_tried

_PYTHON = {
    "replicate": "replicate",
    "openai": "openai|emergentintegrations|litellm|instructor|crewai|autogen|dspy|pydantic-ai|llama-index|mem0"
    "|semantic-kernel",
    "anthropic": "anthropic|emergentintegrations|pydantic-ai|instructor|crewai",
    "stripe": "stripe|emergentintegrations",
    "supabase": "supabase",
    "boto3": "boto|sagemaker|moto|zappa",
    "cloudinary": "cloudinary",
    "firebase_admin": "firebase|fireo",
    "telegram": "telegram",
    "aiogram": "aiogram",
    "twilio": "twilio",
    "sendgrid": "sendgrid",
    "resend": "resend",
    "celery": "celery|flower",
    "flask": "flask",
    "flask_cors": "flask-cors",
    "flask_login": "flask-login",
    "flask_limiter": "flask-limiter",
    "slowapi": "slowapi",
    "pymongo": "mongo|motor|beanie|djongo",
    "psycopg2": "psycopg2",
    "asyncpg": "asyncpg",
    "aiosqlite": "aiosqlite",
    "passlib": "passlib|fastapi-users",
    "jose": "jose",
    "moviepy": "moviepy",
    "pydub": "pydub",
    "rembg": "rembg",
    "gtts": "gtts",
    "elevenlabs": "elevenlabs",
    "fal_client": "(^|[^a-z])fal($|[^a-z])",
    "streamlit": "streamlit",
    "gradio": "gradio",
    "insightface": "insightface",
    "diffusers": "diffusers",
    "razorpay": "razorpay",
    "paypalrestsdk": "paypal",
    "wandb": "wandb",
}
"""What is imported, and what may bring it: names of packages, or parts of such names."""
_SCRIPT = {
    "replicate", "openai", "stripe", "@anthropic-ai/sdk", "cloudinary", "firebase", "firebase-admin", "resend",
    "@sendgrid/mail", "nodemailer", "twilio", "archiver", "jszip", "multer", "express", "cors", "helmet", "bcrypt",
    "bcryptjs", "bullmq", "mysql2", "mongoose", "drizzle-orm", "swr", "zustand", "react-dropzone", "sonner",
    "react-hot-toast", "react-hook-form", "express-rate-limit", "express-session", "passport", "razorpay",
    "@fal-ai/client", "@fal-ai/serverless-client", "@upstash/redis", "@upstash/ratelimit", "svix", "next-auth",
    "@clerk/nextjs", "@vercel/blob", "lucide-react", "framer-motion", "recharts", "node-cron", "fluent-ffmpeg",
    "@google/generative-ai", "@google/genai",
}  # fmt: skip
_BROUGHT = {
    "framer-motion": "motion",
    "express": "@nestjs/platform-express",
    "multer": "@nestjs/platform-express",
}
"""Packages of JavaScript that another one is sure to bring along."""
_LISTS = re.compile(
    r"(^|/)(requirements?[^/]*\.(txt|in|pip)|requirements?/[^/]+|pipfile|setup\.(py|cfg)|(conda|environment)[^/]*\.ya?ml"
    r"|pixi\.toml|cog\.ya?ml|pyproject\.toml|uv\.lock|poetry\.lock|deno\.jsonc?|import_?map\.json)$",
    re.I,
)
"""Files that may name packages; of these only requirements.txt and pyproject.toml are read."""
_READ = re.compile(r"(^|/)(requirements\.txt|pyproject\.toml|uv\.lock|poetry\.lock)$")
_INSTALLS = re.compile(
    r"(?:pip3?[\"', ]+install|uv add|npm (?:install|i|add)|(?:yarn|pnpm|bun) (?:add|install))\b"
    r"((?:\\\r?\n|[^\n&|;])*)"
)
_NO_PACKAGE = re.compile(r"^(-.*|.*\.txt|pip|setuptools|wheel|\.|\\?|)$")


def missing_packages(ctx: Context) -> Iterator[Finding]:
    """`import replicate` where requirements.txt names other packages only; told once for each package."""
    python, script = ctx.once(_named, "python"), ctx.once(_named, "javascript")
    told: dict[str, list[tuple[Module, ir.Import]]] = {}
    for module in ctx.live:
        named = python if module.language == "python" else script
        for each in module.all(ir.Import) if named and module.role == "src" else ():
            package = _package(module, each)
            if not package or _is_named(module, package, named) or is_tried(each):
                continue
            if ctx.program.resolver.resolve(module.path, each.module, module.language) is None:
                told.setdefault(package, []).append((module, each))
    for package, places in told.items():
        module, node = min(places, key=lambda each: each[0].path in ctx.dead_modules)
        others = [Place(each.path, one.line) for each, one in places if each is not module]
        dead = "; nothing imports this file either" if module.path in ctx.dead_modules else ""
        where = "requirements.txt or pyproject.toml" if module.language == "python" else "package.json"
        message = f"{package} is imported, and no {where} here names it{dead}"
        yield finding("broken-import", module, node, message, key=f"package {package}", weight=BARELY if dead else 34,
                      evidence=others[:3])  # fmt: skip


def _package(module: Module, node: ir.Import) -> str:
    """The package of an import, where it is one that is looked for here."""
    if node.type_only or node.module.startswith("."):
        return ""
    if module.language == "python":
        top = node.module.partition(".")[0]
        return top if top in _PYTHON else ""
    parts = node.module.split("/")
    name = "/".join(parts[:2]) if node.module.startswith("@") else parts[0]
    return name if name in _SCRIPT else ""


def _is_named(module: Module, package: str, named: str) -> bool:
    if module.language == "python":
        return re.search(_PYTHON[package], named) is not None
    return f'"{_BROUGHT.get(package, package)}"' in named or f'"{package}"' in named


def _named(ctx: Context, language: str) -> str:
    """What the lists of packages of a language say; "" where none names any, or another may name more."""
    lists = [each for each in ctx.tree.paths if _LISTS.search(each)]
    texts = [each for each in ctx.tree.files if each.language in {"config", "python"}]
    if any(_installs(each.text) for each in texts):
        return ""
    if language == "python":
        if not lists or not all(_READ.search(each) for each in lists):
            return ""
        read = [each.text for each in texts if _READ.search(each.path)]
        return re.sub(r"[_.]", "-", "\n".join(read).lower())
    if any("deno" in each or "map.json" in each for each in lists):
        return ""
    named = "\n".join(each.text for each in texts if each.path.endswith("package.json"))
    return named if re.search(r'dependencies"\s*:\s*\{\s*"', named, re.I) else ""


def _installs(text: str) -> bool:
    """Whether a file installs packages by their names: `pip install replicate`, `pip_install("replicate")`."""
    if "pip_install(" in text:
        return True
    found = (
        (each[1].split() for each in _INSTALLS.finditer(text)) if "install" in text or " add" in text else ()
    )
    return any(not _NO_PACKAGE.match(word.strip("\"'`[](),")) for words in found for word in words)
