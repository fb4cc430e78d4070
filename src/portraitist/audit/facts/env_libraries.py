"""Which variables of the environment libraries read by themselves, so that no line of a repository does.

A variable counts as read only where one of the manifests names such a library, or where there is no manifest.
"""

from __future__ import annotations

import re

_ALWAYS = re.compile(
    r"^(NODE_|NEXT_TELEMETRY|PORT$|PYTHON"
    r"|VERCEL($|_(URL|ENV|TARGET|REGION|DEPLOYMENT|GIT|PROJECT|BRANCH|TOKEN|ORG|TEAM|OIDC|ANALYTICS|AUTOMATION|SKEW|BLOB)))"
)
_BY_LIBRARY = [
    (re.compile(rf"^({names})"), re.compile(rf"[\"'/@\s\-]({libraries})", re.I))
    for names, libraries in (
        ("AUTH_|NEXTAUTH_", "next-auth|auth/|authjs|better-auth"),
        ("(NEXT_PUBLIC_)?CLERK_", "clerk"),
        ("AWS_", "aws|boto3|aioboto3|s3"),
        ("REPLICATE_API_TOKEN", "replicate|ai-sdk"),
        ("OPENAI_|ANTHROPIC_", "openai|anthropic|langchain|litellm|ai-sdk"),
        ("GOOGLE_", "google|firebase|vertex|gcloud|genkit"),
        ("KINDE_", "kinde"),
        ("SENTRY_", "sentry"),
        ("BLOB_READ", "blob"),
        ("KV_", "kv"),
        ("POSTGRES_|PG[A-Z]+$|DATABASE_URL",
         "prisma|drizzle|postgres|pg\\b|psycopg|asyncpg|sqlalchemy|django|databases|knex|typeorm|sequelize|mysql|neon|tortoise|payload"),
        ("UPSTASH_|QSTASH_", "upstash"),
        ("LANGCHAIN_|LANGSMITH_", "langchain|langsmith|langgraph"),
        ("HF_|HUGGING", "hugging|transformers|diffusers|hf"),
        ("FAL_KEY", "fal"),
        ("FLASK_", "flask"),
        ("DJANGO_", "django"),
        ("SUPABASE_", "nuxtjs/supabase"),
        ("INNGEST_", "inngest"),
        ("CLOUDINARY_URL", "cloudinary"),
        ("TRIGGER_", "trigger"),
    )
]  # fmt: skip
"""Variables that libraries read by themselves, so that no line of the repository does: names, and the libraries."""
MANIFEST = re.compile(
    r"(^|/)(package\.json|requirements[\w.-]*\.txt|pyproject\.toml|Pipfile|setup\.py|deno\.json|[\w-]*compose[\w.-]*)$"
)


def read_by_library(name: str, manifests: str) -> bool:
    """Whether a library reads a variable by itself, one that is there or, without any list of them, one that may be."""
    known = [libraries for names, libraries in _BY_LIBRARY if names.match(name)]
    return bool(_ALWAYS.match(name)) or any(not manifests or each.search(manifests) for each in known)
