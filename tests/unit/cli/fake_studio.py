"""A studio in memory with the API that the command line uses: scripted, without rules of its own."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, UploadFile
from fastapi.responses import JSONResponse, Response, StreamingResponse
from PIL import Image

BAR = (
    "flux_train_replicate:  40%|████      | {step}/{total} [00:40<01:05,  1.05s/it, lr: 4.0e-04 loss: 2e-01]"
)


def png(seed: int) -> bytes:
    """A small picture that differs by seed."""
    data = io.BytesIO()
    Image.new("RGB", (96, 128), (seed * 40 % 256, 90, 120)).save(data, "PNG")
    return data.getvalue()


@dataclass
class FakeStudio:
    """What it holds, what it was asked, and the script of what happens."""

    rejected: dict[str, str] = field(default_factory=dict)  # digest → reason
    training_script: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"status": "training", "phase": "training", "step": 40, "total_steps": 100},
            {"status": "verifying", "phase": "verifying"},
            {"status": "completed", "phase": "completed"},
        ]
    )
    generation_end: dict[str, Any] = field(default_factory=lambda: {"status": "completed"})
    streams: bool = True
    consented: bool = False
    selfies: list[dict[str, Any]] = field(default_factory=list)
    trainings: list[dict[str, Any]] = field(default_factory=list)
    generations: list[dict[str, Any]] = field(default_factory=list)
    active: dict[str, Any] | None = None
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)

    def advance(self, training: dict[str, Any]) -> None:
        """The next thing in the script."""
        if training["status"] in ("completed", "failed"):
            return
        assert self.training_script, "the script ended before the training did"
        training |= self.training_script.pop(0)
        training["logs_tail"] = BAR.format(step=training["step"], total=training["total_steps"])
        if training["status"] == "completed":
            training["version"] = "portraitist/abc-selfie-lora:" + "a" * 64
            self.active = {
                "id": f"v{len(self.trainings)}",
                "version": training["version"],
                "photos": training["photos"],
                "promoted_at": "2026-01-01T00:00:00Z",
            }

    def accepted(self) -> list[str]:
        return [item["source_sha256"] for item in self.selfies if item["status"] == "accepted"]


def problem(status: int, code: str, detail: str, next_step: str | None = None) -> JSONResponse:
    body = {"status": status, "code": code, "detail": detail, "next_step": next_step}
    return JSONResponse(body, status, media_type="application/problem+json")


def make_app(studio: FakeStudio) -> FastAPI:
    """Its HTTP side."""
    app = FastAPI()
    _members(app, studio)
    _photos(app, studio)
    _trainings(app, studio)
    _generations(app, studio)
    return app


def _members(app: FastAPI, studio: FakeStudio) -> None:
    @app.get("/api/v1/status")
    def status() -> dict[str, Any]:
        provider = {"kind": "engine", "engine": "embedded tiny FLUX", "picture_size": "192x256"}
        provider |= {"expected_training_minutes": 3.2, "safety_checker": "none (embedded)"}
        return {"provider": provider}

    @app.post("/api/v1/local-members")
    async def local_member(request: Request) -> dict[str, str]:
        return {"id": "abcdefghijkl", "token": "member-token", **await request.json()}

    @app.get("/api/v1/me")
    def me(request: Request) -> Response:
        known = request.headers["authorization"] == "Bearer member-token"
        return (
            JSONResponse({"id": "abcdefghijkl"}) if known else problem(401, "not_signed_in", "Unknown token.")
        )

    @app.get("/api/v1/consents/wording")
    def wording() -> dict[str, str]:
        return {"version": "1", "text": "I agree."}

    @app.get("/api/v1/consents")
    def consents() -> dict[str, Any]:
        return {"items": [{"id": "c", "withdrawn_at": None}] if studio.consented else []}

    @app.post("/api/v1/consents", status_code=201)
    def consent() -> dict[str, str]:
        studio.consented = True
        return {"id": "c"}


def _photos(app: FastAPI, studio: FakeStudio) -> None:
    @app.get("/api/v1/selfies")
    def selfies() -> dict[str, Any]:
        return {"items": studio.selfies}

    @app.post("/api/v1/selfies", response_model=None)
    async def upload(files: list[UploadFile]) -> Any:
        if not studio.consented:
            return problem(422, "consent_needed", "Consent is needed.")
        new = []
        for file in files:
            digest = hashlib.sha256(await file.read()).hexdigest()
            reason = studio.rejected.get(digest)
            item = {"id": digest[:8], "file_name": file.filename, "source_sha256": digest}
            new.append(item | {"status": "rejected" if reason else "accepted", "reason": reason})
        studio.selfies += new
        return {"items": new}

    @app.delete("/api/v1/selfies/{selfie_id}", status_code=204)
    def remove(selfie_id: str) -> None:
        studio.selfies = [item for item in studio.selfies if item["id"] != selfie_id]


def _trainings(app: FastAPI, studio: FakeStudio) -> None:
    @app.get("/api/v1/models")
    def models() -> dict[str, Any]:
        return {"active": studio.active, "versions": [studio.active] if studio.active else []}

    @app.get("/api/v1/trainings")
    def trainings() -> dict[str, Any]:
        return {"items": list(reversed(studio.trainings))}

    @app.post("/api/v1/trainings", status_code=201)
    def start(request: Request) -> dict[str, Any]:
        key = request.headers["idempotency-key"]
        if key not in studio.keys:
            training = {
                "id": f"t{len(studio.trainings)}",
                "status": "queued",
                "phase": "queued",
                "step": None,
            }
            training |= {"total_steps": None, "photos": studio.accepted()}
            studio.keys[key] = training
            studio.trainings.append(training)
        return studio.keys[key]

    @app.get("/api/v1/trainings/{training_id}")
    def training(training_id: str) -> dict[str, Any]:
        found = next(item for item in studio.trainings if item["id"] == training_id)
        studio.advance(found)
        return found

    @app.get("/api/v1/events", response_model=None)
    def events() -> Any:
        if not studio.streams:
            return problem(503, "no_stream", "No stream.")

        def stream() -> Iterator[str]:
            for found in studio.trainings:
                studio.advance(found)
                yield f"event: training\ndata: {json.dumps(found)}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")


def _generations(app: FastAPI, studio: FakeStudio) -> None:
    @app.post("/api/v1/generations", status_code=201, response_model=None)
    async def start(request: Request) -> Any:
        if studio.active is None:
            return problem(409, "no_model", "There is no model yet.", "Train one first.")
        key = request.headers["idempotency-key"]
        if key not in studio.keys:
            generation = {"id": f"g{len(studio.generations)}-0000-0000", "status": "queued", "seed": 7}
            generation |= {"words": (await request.json())["prompt"], "version": studio.active["version"]}
            generation |= {"images": [], "requested": {"guidance": 2.8}, "unknown_words": ["soft"]}
            studio.keys[key] = generation
            studio.generations.append(generation)
        return studio.keys[key]

    @app.get("/api/v1/generations/{generation_id}")
    def generation(generation_id: str) -> dict[str, Any]:
        found = next(item for item in studio.generations if item["id"] == generation_id)
        found |= studio.generation_end
        if found["status"] == "completed":
            digests = [hashlib.sha256(png(index)).hexdigest() for index in range(3)]
            found["images"] = [{"id": str(i), "index": i, "sha256": d} for i, d in enumerate(digests)]
        return found

    @app.get("/api/v1/images/{image_id}/file")
    def image(image_id: str) -> Response:
        return Response(png(int(image_id)), media_type="image/png")
