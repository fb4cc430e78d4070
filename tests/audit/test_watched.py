"""Under which flow the report names what waits for an answer: a training's, a generation's, or none of them."""

from __future__ import annotations

from collections.abc import Callable

from portraitist.audit.pipeline import Audit
from portraitist.audit.report import markdown
from portraitist.audit.report.claims import Citations

Auditor = Callable[[dict[str, str]], Audit]

TRAIN = """
import Replicate from "replicate";
const replicate = new Replicate();
export async function POST(req: Request) {
  const { photos } = await req.json();
  return Response.json(await replicate.trainings.create("a", "b", "c", { destination: "a/d", input: { photos } }));
}
"""
PAINT = """
import Replicate from "replicate";
export async function POST(req: Request) {
  const { prompt } = await req.json();
  return Response.json(await new Replicate().predictions.create({ version: "v", input: { prompt } }));
}
"""
PAGE = """
import useSWR from "swr";
export default function Waiting({ id }: { id: string }) {
  useSWR(`/api/trainings/${id}/status`, get, { refreshInterval: 5000 });
  useSWR(`/api/pictures/${id}/status`, get, { refreshInterval: 1000 });
  useSWR(`/api/payments/${id}`, get, { refreshInterval: 2000 });
  return null;
}
"""


def _sections(audit: Audit) -> dict[str, str]:
    """The report's sections by their numbers."""
    report = markdown.report(audit.context, audit.findings, Citations(audit.context.tree))
    return {part[:1]: part for part in report.split("## ")[1:]}


def test_a_poll_stands_under_what_it_waits_for(audit_files: Auditor) -> None:
    files = {"app/api/train/route.ts": TRAIN, "app/api/paint/route.ts": PAINT, "app/waiting/page.tsx": PAGE}
    told = _sections(audit_files(files))
    assert "poll `/api/trainings/{id}/status` `app/waiting/page.tsx:4`" in told["4"]
    assert "app/waiting/page.tsx:5" not in told["4"]
    assert "app/waiting/page.tsx:5" in told["6"]
    assert "app/waiting/page.tsx:4" not in told["6"]
    assert "app/waiting/page.tsx:6" not in told["4"] + told["6"]


def test_without_trainings_every_poll_waits_for_pictures(audit_files: Auditor) -> None:
    told = _sections(audit_files({"app/api/paint/route.ts": PAINT, "app/waiting/page.tsx": PAGE}))
    assert "app/waiting/page.tsx" not in told["4"]
    assert "app/waiting/page.tsx:5" in told["6"]
