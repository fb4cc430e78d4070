"""A Replicate in memory: its API in the shapes on record, with faults on demand. An ASGI app.

Time is counted in polls: a run goes one status further each time it is read. Nothing is trained; pictures carry
the model's name in their pixels (see `pictures`).
"""

import base64
import hashlib
import hmac
import itertools
import json
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from portraitist.studio.architecture import TRAINER, TRAINER_VERSION
from tests.fakes.pictures import watermarked_png
from tests.fakes.schemas import trained_version_schema

HARDWARE = {"cpu", "gpu-a100-large", "gpu-a100-large-2x", "gpu-h100", "gpu-l40s", "gpu-l40s-2x"}
TERMINAL = {"succeeded", "failed", "canceled", "aborted"}


@dataclass
class Fault:
    """What happens to one request instead of, or after, what it asked for."""

    status: int = 502
    body: str = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    content_type: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Do what was asked, then cut the connection in the middle of the answer."""


def problem(status: int, detail: str, title: str | None = None, **headers: str) -> Fault:
    """A refusal in Replicate's problem JSON."""
    body = {"detail": detail, "status": status} | ({"title": title} if title else {})
    return Fault(status, json.dumps(body), "application/problem+json", headers)


NO_CREDIT = problem(402, "You have insufficient credit to run this model.", "Insufficient credit")
THROTTLED = problem(429, "Request was throttled. Your rate limit resets in ~2s.")
CUT = Fault(cut=True)


@dataclass
class Run:
    """A training or prediction, with the statuses it still has before it."""

    shown: dict[str, Any]
    ahead: list[str]
    destination: str = ""


class ReplicateCloud:
    """State and behaviour of one account; an ASGI app itself.

    What a test may set: `statuses_of_a_training`, `statuses_of_a_prediction` (one status per read),
    `trained_output`, `flagged` (indexes the safety checker takes away), `lists_lag` (lists don't show what is
    created while it is set, until `lists_catch_up`), `page_size`, `hidden_versions` (versions that GET denies).
    """

    def __init__(self, *, username: str = "studio", token: str = "r8_token") -> None:
        self.username, self.token = username, token
        self.secret = "whsec_" + base64.b64encode(b"the account's webhook key").decode()
        self.models: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.runs: dict[str, Run] = {}
        self.files: dict[str, bytes] = {}
        self.outputs: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.statuses_of_a_training = ["starting", "processing", "succeeded"]
        self.statuses_of_a_prediction = ["starting", "succeeded"]
        self.trained_output: Callable[[str, str], Any] = lambda model, version: {
            "version": f"{model}:{version}",
            "weights": "https://replicate.delivery/xezq/abc/trained_model.tar",
        }
        self.schema: dict[str, Any] = trained_version_schema()
        self.flagged: set[int] = set()
        self.lists_lag = False
        self.hidden_versions: set[str] = set()
        self.page_size = 100
        self._unlisted: set[str] = set()
        self._faults: list[tuple[str, str, Fault]] = []
        self._clock = itertools.count()
        self._moving = threading.RLock()  # a test's thread moves runs on while the server's shows them
        self._app = Starlette(routes=self._routes())

    def fail_next(self, method: str, path: str, *faults: Fault) -> None:
        """Let the next requests whose path begins with `path` meet these faults, one each."""
        self._faults += [(method, path, fault) for fault in faults]

    def sent(self, method: str, path: str) -> int:
        """How many requests with this method and beginning of a path have arrived."""
        return sum(1 for verb, where in self.requests if verb == method and where.startswith(path))

    def signed_webhook(self, run_id: str, now: datetime) -> tuple[dict[str, str], bytes]:
        """Headers and body of a webhook for the run as it stands, as the cloud would send it."""
        body = json.dumps(self.runs[run_id].shown).encode()
        stamp = str(int(now.timestamp()))
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        mac = hmac.digest(key, f"msg_{run_id}.{stamp}.".encode() + body, hashlib.sha256)
        signature = f"v1,{base64.b64encode(mac).decode()}"
        return {
            "webhook-id": f"msg_{run_id}",
            "webhook-timestamp": stamp,
            "webhook-signature": signature,
        }, body

    def lists_catch_up(self) -> None:
        """Lists show everything again."""
        self.lists_lag = False
        self._unlisted.clear()

    def forget(self, run_id: str) -> None:
        """What the cloud does an hour after a prediction: input, output and logs are gone."""
        self.runs[run_id].shown |= {"data_removed": True, "input": {}, "output": None, "logs": ""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.requests.append((request.method, request.url.path))
        fault = self._fault_for(request)
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.cut:
            await self._cut_after(scope, receive, send)
        else:
            headers = fault.headers | {"content-type": fault.content_type}
            await Response(fault.body, fault.status, headers)(scope, receive, send)

    def _fault_for(self, request: Request) -> Fault | None:
        for position, (method, path, fault) in enumerate(self._faults):
            if request.method == method and request.url.path.startswith(path):
                del self._faults[position]
                return fault
        return None

    async def _cut_after(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def nowhere(message: Any) -> None:
            """The real answer is never sent."""

        await self._app(scope, receive, nowhere)
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"999")]})
        await send({"type": "http.response.body", "body": b'{"id": "', "more_body": True})

    def _routes(self) -> list[Route]:
        model, version = "/v1/models/{owner}/{name}", "/v1/models/{owner}/{name}/versions/{version}"
        table: Iterable[tuple[str, str, Callable[[Request], Any]]] = [
            ("GET", "/v1/account", self._account),
            ("GET", "/v1/webhooks/default/secret", self._webhook_secret),
            ("POST", "/v1/models", self._create_model),
            ("GET", model, self._get_model),
            ("DELETE", model, self._delete_model),
            ("GET", f"{model}/versions", self._list_versions),
            ("GET", version, self._get_version),
            ("DELETE", version, self._delete_version),
            ("POST", f"{version}/trainings", self._create_training),
            ("GET", "/v1/trainings", self._list_trainings),
            ("POST", "/v1/predictions", self._create_prediction),
            ("GET", "/v1/predictions", self._list_predictions),
            *[("GET", f"/v1/{kind}/{{id}}", self._get_run) for kind in ("trainings", "predictions")],
            *[("POST", f"/v1/{kind}/{{id}}/cancel", self._cancel) for kind in ("trainings", "predictions")],
            ("POST", "/v1/files", self._create_file),
            ("DELETE", "/v1/files/{id:path}", self._delete_file),
        ]
        routes = [Route(path, self._signed_in(handler), methods=[verb]) for verb, path, handler in table]
        return [*routes, Route("/outputs/{key:path}", self._output)]

    def _signed_in(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def checked(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {self.token}":
                detail = "You did not pass a valid authentication token"
                return refused(401, detail, "Unauthenticated")
            answer: Response = await handler(request)
            return answer

        return checked

    async def _account(self, request: Request) -> Response:
        return JSONResponse({"type": "user", "username": self.username, "name": ""})

    async def _webhook_secret(self, request: Request) -> Response:
        return JSONResponse({"key": self.secret})

    async def _create_model(self, request: Request) -> Response:
        body = await request.json()
        name = f"{body['owner']}/{body['name']}"
        if body["owner"] != self.username or body.get("hardware") not in HARDWARE:
            return refused(400, "The following errors occurred:\n- owner or hardware", "Validation failed")
        if name in self.models:
            return refused(409, "A model with that name and owner already exists.")
        self.models[name] = {"owner": body["owner"], "name": body["name"], "visibility": body["visibility"]}
        self.versions[name] = []
        return JSONResponse(self.models[name], 201)

    async def _get_model(self, request: Request) -> Response:
        found = self.models.get(model_of(request))
        return JSONResponse(found) if found else refused(404, "Not found.")

    async def _delete_model(self, request: Request) -> Response:
        if model_of(request) not in self.models:
            return refused(404, "Not found.")
        if self.versions[model_of(request)]:
            return refused(403, "A model with versions can't be deleted.")
        del self.models[model_of(request)]
        return Response(status_code=204)

    async def _list_versions(self, request: Request) -> Response:
        return self._page(request, list(reversed(self.versions.get(model_of(request), []))))

    async def _get_version(self, request: Request) -> Response:
        wanted = request.path_params["version"]
        found = [version for version in self.versions.get(model_of(request), []) if version["id"] == wanted]
        if not found or wanted in self.hidden_versions:
            return refused(404, "Not found.")
        return JSONResponse(found[0])

    async def _delete_version(self, request: Request) -> Response:
        kept = [
            v for v in self.versions.get(model_of(request), []) if v["id"] != request.path_params["version"]
        ]
        if len(kept) == len(self.versions.get(model_of(request), [])):
            return refused(404, "Not found.")
        self.versions[model_of(request)] = kept
        return Response(status_code=202)

    async def _create_training(self, request: Request) -> Response:
        body = await request.json()
        if f"{model_of(request)}:{request.path_params['version']}" != TRAINER:
            return refused(404, "Not found.")
        if body["destination"] not in self.models:
            return refused(404, "The specified training destination does not exist")
        run = self._new_run(body, TRAINER_VERSION, self.statuses_of_a_training)
        run.destination = body["destination"]
        return JSONResponse(run.shown, 201)

    async def _create_prediction(self, request: Request) -> Response:
        body = await request.json()
        if unknown := set(body) - {"version", "input", "webhook", "webhook_events_filter"}:
            return refused(422, f"- {sorted(unknown)[0]}: additional property", "Input validation failed")
        model, _, version = body["version"].rpartition(":")
        if version not in [found["id"] for found in self.versions.get(model, [])]:
            return refused(422, "The specified version does not exist", "Invalid version or not permitted")
        run = self._new_run(body, version, self.statuses_of_a_prediction)
        run.destination = model
        return JSONResponse(run.shown, 201)

    def _new_run(self, body: dict[str, Any], version: str, statuses: list[str]) -> Run:
        first, *ahead = statuses
        shown = {
            "id": "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(26)),
            "version": version,
            "input": body["input"],
            "status": first,
            "output": None,
            "error": None,
            "logs": "",
            "metrics": {},
            "data_removed": False,
            "created_at": self._now(),
            "started_at": None,
            "completed_at": None,
            "urls": {},
        } | {key: body[key] for key in ("webhook", "webhook_events_filter") if key in body}
        run = self.runs[shown["id"]] = Run(shown, ahead)
        if self.lists_lag:
            self._unlisted.add(shown["id"])
        return run

    async def _get_run(self, request: Request) -> Response:
        run = self.runs.get(request.path_params["id"])
        if run is None:
            return refused(404, "Not found.")
        with self._moving:
            self.go_on(run, str(request.base_url))
            return JSONResponse(run.shown)

    def go_on(self, run: Run, base_url: str) -> bool:
        """One status further, whole before anybody sees it; False where it has none before it."""
        with self._moving:
            if not run.ahead or run.shown["status"] in TERMINAL:
                return False
            self._advance(run, run.ahead.pop(0), base_url)
            return True

    def _advance(self, run: Run, status: str, base_url: str) -> None:
        run.shown["status"] = status
        run.shown["started_at"] = run.shown["started_at"] or self._now()
        if status in TERMINAL:
            run.shown["completed_at"] = self._now()
        if run.shown["version"] == TRAINER_VERSION:
            self._train(run, status)
        elif status == "succeeded":
            self._draw(run, base_url)

    def _train(self, run: Run, status: str) -> None:
        steps = run.shown["input"]["steps"]
        run.shown["logs"] += (
            f"flux_train_replicate:  50%|█████     | {steps // 2}/{steps} [00:01<00:01,  1.05s/it]\n"
        )
        if status != "succeeded":
            return
        run.shown["logs"] += "Saved to output/flux_train_replicate/lora.safetensors\n"
        version = hashlib.sha256(run.shown["id"].encode()).hexdigest()
        made = {
            "id": version,
            "created_at": self._now(),
            "cog_version": "0.16.0",
            "openapi_schema": self.schema,
        }
        self.versions[run.destination].append(made)
        run.shown["output"] = self.trained_output(run.destination, version)

    def _draw(self, run: Run, base_url: str) -> None:
        asked, seed = run.shown["input"]["num_outputs"], run.shown["input"]["seed"]
        safe = [index for index in range(asked) if index not in self.flagged]
        run.shown["logs"] = f"Using seed: {seed}\nTotal safe images: {len(safe)} out of {asked}\n"
        if not safe:
            error = (
                "All generated images contained NSFW content. Try running it again with a different prompt."
            )
            run.shown |= {"status": "failed", "error": error}
            return
        urls = []
        for index in safe:
            key = f"{secrets.token_hex(8)}/out-{index}.png"
            self.outputs[key] = watermarked_png(run.destination, seed, index)
            urls.append(f"{base_url}outputs/{key}")
        run.shown["output"] = urls

    async def _cancel(self, request: Request) -> Response:
        run = self.runs.get(request.path_params["id"])
        if run is None:
            return refused(404, "Not found.")
        with self._moving:
            if run.shown["status"] not in TERMINAL:
                run.shown |= {"status": "canceled", "completed_at": self._now()}
            return JSONResponse(run.shown)

    async def _list_trainings(self, request: Request) -> Response:
        with self._moving:
            return self._page(request, self._listed(lambda run: run.shown["version"] == TRAINER_VERSION))

    async def _list_predictions(self, request: Request) -> Response:
        after = request.query_params.get("created_after", "")
        with self._moving:
            return self._page(
                request,
                self._listed(
                    lambda run: run.shown["version"] != TRAINER_VERSION and run.shown["created_at"] >= after
                ),
            )

    def _listed(self, wanted: Callable[[Run], bool]) -> list[dict[str, Any]]:
        newest_first = reversed(self.runs.values())
        return [run.shown for run in newest_first if wanted(run) and run.shown["id"] not in self._unlisted]

    def _page(self, request: Request, items: list[dict[str, Any]]) -> Response:
        start = int(request.query_params.get("cursor", 0))
        end = start + self.page_size
        # Another host on purpose: a client must not follow it with its token.
        following = f"https://elsewhere.example/v1?cursor={end}" if end < len(items) else None
        return JSONResponse({"next": following, "previous": None, "results": items[start:end]})

    async def _create_file(self, request: Request) -> Response:
        async with request.form() as form:
            content = form["content"]
            assert isinstance(content, UploadFile)
            data = await content.read()
            name, kind = content.filename, content.content_type
        file_id = base64.b64encode(secrets.token_bytes(16)).decode()
        self.files[file_id] = data
        url = f"{request.base_url}v1/files/{file_id}"
        shown = {"id": file_id, "name": name, "content_type": kind, "size": len(data), "urls": {"get": url}}
        return JSONResponse(shown, 201)

    async def _delete_file(self, request: Request) -> Response:
        found = self.files.pop(request.path_params["id"], None)
        return refused(404, "Not found.") if found is None else Response(status_code=204)

    async def _output(self, request: Request) -> Response:
        data = self.outputs.get(request.path_params["key"])
        return Response(status_code=404) if data is None else Response(data, media_type="image/png")

    def _now(self) -> str:
        """Now, never the same twice, with the digits of the real one."""
        moment = datetime.now(UTC) + timedelta(microseconds=next(self._clock))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def refused(status: int, detail: str, title: str | None = None) -> Response:
    fault = problem(status, detail, title)
    return Response(fault.body, status, media_type=fault.content_type)


def model_of(request: Request) -> str:
    return f"{request.path_params['owner']}/{request.path_params['name']}"
