"""Rows of others: what is said in the JSON only, and where a reader is sent to see the owner."""

from __future__ import annotations

from collections.abc import Callable

from portraitist.audit.model import Finding
from portraitist.audit.pipeline import Audit
from portraitist.audit.rules.gravity import WORTH_PRINTING

Auditor = Callable[[dict[str, str]], Audit]

SCHEMA = """
model Packet {
  id      String @id
  ownerId String
  name    String
}
"""
PRISMA = 'import { PrismaClient } from "@prisma/client";\nexport const prisma = new PrismaClient();\n'
GUARDS = """
import { auth } from "@clerk/nextjs/server";
import { prisma } from "./prisma";
export async function requireMember() {
  const { userId } = await auth();
  if (!userId) return { userId: null, response: Response.json({}, { status: 401 }) };
  return { userId, response: null };
}
export async function requireWriter() {
  const { userId } = await auth();
  if (!userId) return { userId: null, response: Response.json({}, { status: 401 }) };
  const profile = await prisma.profile.findUnique({ where: { id: userId } });
  if (!profile.canWrite) return { userId: null, response: Response.json({}, { status: 403 }) };
  return { userId, response: null };
}
export async function findOwn(id: string, ownerId: string) {
  return prisma.packet.findFirst({ where: { id, ownerId } });
}
"""
CHANGES = """
import { prisma } from "@/lib/prisma";
import { requireMember, requireWriter } from "@/lib/guards";
export async function PATCH(req: Request, { params }: { params: { id: string } }) {
  ASKS
  const { name } = await req.json();
  return Response.json(await prisma.packet.update({ where: { id: params.id }, data: { name } }));
}
"""
ROUTE = "app/api/packets/[id]/route.ts"


def _files(guard: str, **more: str) -> dict[str, str]:
    asks = f"const who = await {guard}();\n  if (!who.userId) return who.response;" if guard else ""
    return {
        "prisma/schema.prisma": SCHEMA,
        "lib/prisma.ts": PRISMA,
        "lib/guards.ts": GUARDS,
        ROUTE: CHANGES.replace("ASKS", asks),
        **more,
    }


def _found(audit: Audit) -> list[Finding]:
    return [each for each in audit.findings if each.rule == "idor" and each.path.endswith(ROUTE)]


def test_rows_behind_a_permission_are_not_grave(audit_files: Auditor) -> None:
    (member,) = _found(audit_files(_files("requireMember")))
    (writer,) = _found(audit_files(_files("requireWriter")))
    assert member.weight >= WORTH_PRINTING > writer.weight


def test_where_nobody_is_asked_that_is_the_risk(audit_files: Auditor) -> None:
    reads = (
        "import { prisma } from '@/lib/prisma';\nimport { findOwn, requireMember } from '@/lib/guards';\n"
        + (
            "export async function GET(req: Request, { params }: { params: { id: string } }) {\n"
            "  const who = await requireMember();\n  if (!who.userId) return who.response;\n"
            "  return Response.json(await findOwn(params.id, who.userId));\n}\n"
        )
    )
    audit = audit_files(_files("") | {"app/api/mine/[id]/route.ts": reads})
    here = [each for each in audit.findings if each.path == ROUTE and each.rank is not None]
    assert [each.rule for each in here] == ["missing-auth"]
    assert [each.rank for each in _found(audit)] == [None]


def test_a_helper_that_nothing_calls_shows_no_owner(audit_files: Auditor) -> None:
    (found,) = _found(audit_files(_files("requireMember")))
    assert [each.path for each in found.evidence] == [ROUTE, "prisma/schema.prisma"]


def test_the_owner_is_shown_in_the_schema_of_the_same_package(audit_files: Auditor) -> None:
    own = {f"web/{name}": text for name, text in _files("requireMember").items()}
    copy = {"a-copy/prisma/schema.prisma": "\n\n" + SCHEMA}
    (found,) = _found(audit_files(copy | own))
    assert found.evidence[-1].path == "web/prisma/schema.prisma"
