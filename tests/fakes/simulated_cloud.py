"""A Replicate with a clock and a ledger: runs take time, lists and versions lag, outputs vanish after an hour.

Pure but for what is handed in (time, chance): a request in, an answer out. `simulated_http` serves it over a
socket, the simulation asks it directly; the provider's contract suite holds it to the cloud's behaviour.
"""

import base64
import hashlib
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from portraitist.studio.architecture import TRAINER, TRAINER_VERSION
from tests.fakes.pictures import watermarked_png
from tests.fakes.schemas import trained_version_schema
from tests.fakes.simulated_answers import Answer, Asked, in_range, page, refused, said, stamp
from tests.fakes.weights import weights_tar

OUTPUTS_LIVE = timedelta(hours=1)
PAGE = 100
WEBHOOK_KEY = b"the account's webhook key"
SCHEMA = trained_version_schema()
picture = lru_cache(maxsize=4096)(watermarked_png)


@dataclass
class Behaviour:
    """How this cloud behaves: seconds from and to, and how often (0–1) something odd happens."""

    training_s: tuple[float, float] = (60.0, 900.0)
    prediction_s: tuple[float, float] = (2.0, 20.0)
    start_s: tuple[float, float] = (0.5, 30.0)
    list_lag_s: tuple[float, float] = (0.0, 30.0)
    version_lag_s: tuple[float, float] = (0.0, 240.0)
    fails: float = 0.0
    cancels: float = 0.0
    never_ends: float = 0.0
    test_never_ends: float = 0.0
    """The same, of predictions with one output."""
    flags: float = 0.0
    odd_output: float = 0.0
    no_version: float = 0.0
    unknown_status: float = 0.0
    weights_gone: float = 0.0


@dataclass
class Run:
    """A training or a prediction, and all that will become of it if nobody cancels."""

    id: str
    kind: str
    model: str
    version: str
    input: Mapping[str, Any]
    created_at: datetime
    started_at: datetime
    ends_at: datetime
    listed_at: datetime
    version_at: datetime
    outcome: str
    output: Any
    webhook: str | None = None
    cancelled_at: datetime | None = None
    odd: bool = False
    weights_gone: bool = False
    account: str = ""

    def status(self, now: datetime) -> str:
        """Its status at this moment."""
        if self.cancelled_at is not None:
            return "canceled"
        if now >= self.ends_at:
            return self.outcome
        return "processing" if now >= self.started_at else "starting"


@dataclass
class SimulatedCloud:
    """One account. `runs` is its ledger: everything that was ever created, cancelled and billed."""

    now: Callable[[], datetime]
    rng: random.Random
    behaviour: Behaviour = field(default_factory=Behaviour)
    username: str = "studio"
    token: str = "r8_token"
    base_url: str = "http://cloud.invalid"
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    outputs: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    deleted_versions: set[str] = field(default_factory=set)
    heard: Callable[[Run, str], None] = lambda run, event: None
    """Called when a run was `created` or `canceled`."""
    _folders: dict[str, Run] = field(default_factory=dict)
    _trainings: dict[str, list[Run]] = field(default_factory=dict)  # by destination
    _last: datetime = datetime(2000, 1, 1, tzinfo=UTC)

    def handle(self, asked: Asked) -> Answer:
        """Do what is asked, and answer."""
        where = urlsplit(asked.url)
        parts = [unquote(part) for part in where.path.strip("/").split("/")]
        if parts[0] == "outputs":
            return in_range(self._file(parts[1], "/".join(parts[1:])), asked.range)
        if asked.token != self.token:
            return refused(401, "You did not pass a valid authentication token")
        query = {key: values[0] for key, values in parse_qs(where.query).items()}
        match asked.method, parts[1:]:
            case "GET", ["account"]:
                return said({"type": "user", "username": self.username, "name": ""})
            case "GET", ["webhooks", "default", "secret"]:
                return said({"key": "whsec_" + base64.b64encode(WEBHOOK_KEY).decode()})
            case "POST", ["files"] if asked.upload is not None:
                return self._upload(*asked.upload)
            case "DELETE", ["files", *file_id]:
                gone = self.files.pop("/".join(file_id), None) is None
                return refused(404, "Not found.") if gone else Answer(204, b"")
            case _, ["models", *rest]:
                return self._models(asked, rest)
            case _, [("trainings" | "predictions") as kind, *rest]:
                return self._runs(asked, kind, rest, query)
        return refused(404, "Not found.")

    def _models(self, asked: Asked, rest: list[str]) -> Answer:
        match asked.method, rest:
            case "POST", []:
                return self._create_model(asked.body)
            case "GET", [owner, name] if f"{owner}/{name}" in self.models:
                return said(self.models[f"{owner}/{name}"])
            case "DELETE", [owner, name] if f"{owner}/{name}" in self.models:
                if self.versions(f"{owner}/{name}"):
                    return refused(403, "A model with versions can't be deleted.")
                del self.models[f"{owner}/{name}"]
                return Answer(204, b"")
            case "GET", [owner, name, "versions"]:
                return page([shown_version(run) for run in self.versions(f"{owner}/{name}")])
            case (("GET" | "DELETE"), [owner, name, "versions", version]):
                return self._version(asked.method, f"{owner}/{name}", version)
            case "POST", [owner, name, "versions", version, "trainings"]:
                if f"{owner}/{name}:{version}" != TRAINER or asked.body["destination"] not in self.models:
                    return refused(404, "The specified training destination does not exist")
                return said(self.shown(self._create("trainings", asked.body["destination"], asked.body)), 201)
        return refused(404, "Not found.")

    def _create_model(self, body: Mapping[str, Any]) -> Answer:
        name = f"{body['owner']}/{body['name']}"
        if body["owner"] != self.username:
            return refused(400, "owner")
        if name in self.models:
            return refused(409, "A model with that name and owner already exists.")
        self.models[name] = {"owner": body["owner"], "name": body["name"], "visibility": body["visibility"]}
        return said(self.models[name], 201)

    def _version(self, method: str, model: str, version: str) -> Answer:
        found = [run for run in self.versions(model) if version_of(run) == version]
        if not found:
            return refused(404, "Not found.")
        if method == "DELETE":
            self.deleted_versions.add(version)
            return Answer(202, b"")
        return said(shown_version(found[0]))

    def versions(self, model: str) -> list[Run]:
        """The trainings whose versions of this model can be read by now, newest first."""
        now = self.now()
        return [
            run
            for run in reversed(self._trainings.get(model, []))
            if run.version_at <= now
            and run.status(now) == "succeeded"
            and version_of(run) not in self.deleted_versions
        ]

    def _runs(self, asked: Asked, kind: str, rest: list[str], query: Mapping[str, str]) -> Answer:
        match asked.method, rest:
            case "GET", []:
                return self._list(kind, query)
            case "POST", [] if kind == "predictions":
                return self._predict(asked.body)
            case "GET", [run_id] if self._has(kind, run_id):
                return said(self.shown(self.runs[run_id]))
            case "POST", [run_id, "cancel"] if self._has(kind, run_id):
                run = self.runs[run_id]
                if self.now() < run.ends_at and run.cancelled_at is None:
                    run.cancelled_at = self.now()
                    self.heard(run, "canceled")
                return said(self.shown(run))
        return refused(404, "Not found.")

    def _has(self, kind: str, run_id: str) -> bool:
        return run_id in self.runs and self.runs[run_id].kind == kind

    def _predict(self, body: Mapping[str, Any]) -> Answer:
        if unknown := set(body) - {"version", "input", "webhook", "webhook_events_filter"}:
            return refused(422, f"- {sorted(unknown)[0]}: additional property")
        model, _, version = body["version"].rpartition(":")
        if version not in [version_of(run) for run in self.versions(model)]:
            return refused(422, "The specified version does not exist")
        return said(self.shown(self._create("predictions", model, body, version)), 201)

    def _create(self, kind: str, model: str, body: Mapping[str, Any], version: str = TRAINER_VERSION) -> Run:
        chance, how = self.rng, self.behaviour
        created = self._last = max(self.now(), self._last + timedelta(microseconds=1))  # never the same twice
        started = created + _some(chance, how.start_s)
        took = _some(chance, how.training_s if kind == "trainings" else how.prediction_s)
        stuck = how.test_never_ends if body["input"].get("num_outputs") == 1 else how.never_ends
        ends = started + (timedelta(days=30) if chance.random() < stuck else took)
        run = Run(
            id="".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=26)),
            kind=kind,
            model=model,
            version=version,
            input=body["input"],
            created_at=created,
            started_at=started,
            ends_at=ends,
            listed_at=created + _some(chance, how.list_lag_s),
            version_at=ends + _some(chance, how.version_lag_s),
            outcome=self._outcome(),
            output=None,
            webhook=body.get("webhook"),
            account=self.username,
        )
        run.output, run.odd = self._output_of(run)
        self.runs[run.id] = run
        if kind == "trainings":
            self._trainings.setdefault(model, []).append(run)
        self.heard(run, "created")
        return run

    def _outcome(self) -> str:
        drawn, how = self.rng.random(), self.behaviour
        for word, share in (("failed", how.fails), ("canceled", how.cancels)):
            if drawn < share:
                return word
            drawn -= share
        return "succeeded"

    def _output_of(self, run: Run) -> tuple[Any, bool]:
        if run.outcome != "succeeded":
            return None, False
        if run.kind == "predictions":
            return self._pictures_of(run), False
        version, drawn = version_of(run), self.rng.random()
        if drawn < self.behaviour.odd_output:
            return self.rng.choice(ODD_OUTPUTS)(run.model, version), True
        if drawn < self.behaviour.odd_output + self.behaviour.no_version:
            return self.rng.choice([None, {}, [], {"weights": self._weights_of(run)}]), True
        output = self.rng.choice(GOOD_OUTPUTS)(run.model, version)
        return (output | {"weights": self._weights_of(run)} if isinstance(output, dict) else output), False

    def _weights_of(self, run: Run) -> str:
        run.weights_gone = self.rng.random() < self.behaviour.weights_gone
        folder = run.id[:16]
        self._folders[folder] = run
        return f"{self.base_url}/outputs/{folder}/weights.tar"

    def _pictures_of(self, run: Run) -> list[str]:
        asked, seed = run.input["num_outputs"], run.input["seed"]
        kept = [index for index in range(asked) if self.rng.random() >= self.behaviour.flags]
        if not kept:
            run.outcome = "failed"
            return []
        folder = run.id[:16]
        self._folders[folder] = run
        for index in kept:
            self.outputs[f"{folder}/out-{index}.png"] = (run.model, seed, index)
        return [f"{self.base_url}/outputs/{folder}/out-{index}.png" for index in kept]

    def _file(self, folder: str, key: str) -> Answer:
        found, run = self.outputs.get(key), self._folders.get(folder)
        if run is not None and key.endswith("/weights.tar"):
            return (
                Answer(404, b"")
                if run.weights_gone
                else Answer(200, weights_tar(run.id), "application/x-tar")
            )
        if found is None or run is None or self.now() > run.ends_at + OUTPUTS_LIVE:
            return Answer(404, b"")
        return Answer(200, picture(*found), "image/png")

    def _list(self, kind: str, query: Mapping[str, str]) -> Answer:
        after, now = query.get("created_after", ""), self.now()
        newest_first = (run for run in reversed(self.runs.values()) if run.kind == kind)
        recent = itertools.takewhile(lambda run: not after or stamp(run.created_at) >= after, newest_first)
        listed = (run for run in recent if run.listed_at <= now)
        # a cursor is the last run of the page before: what is created meanwhile moves nothing
        if last := query.get("cursor"):
            listed = itertools.islice(itertools.dropwhile(lambda run: run.id != last, listed), 1, None)
        runs = list(itertools.islice(listed, PAGE + 1))
        more = urlencode({"cursor": runs[PAGE - 1].id, "created_after": after}) if len(runs) > PAGE else None
        shown = [self.shown(run) for run in runs[:PAGE]]
        return page(shown, f"{self.base_url}/v1/{kind}?{more}" if more else None)

    def shown(self, run: Run) -> dict[str, Any]:
        """The run in the cloud's JSON, as it stands."""
        now = self.now()
        status = run.status(now)
        ended = status in ("succeeded", "failed", "canceled")
        forgotten = run.kind == "predictions" and ended and now > run.ends_at + OUTPUTS_LIVE
        return {
            "id": run.id,
            "version": run.version,
            "input": {} if forgotten else dict(run.input),
            "status": self._worded(status),
            "output": run.output if status == "succeeded" and not forgotten else None,
            "error": ALL_FLAGGED if status == "failed" and run.kind == "predictions" else None,
            "logs": log_of(run, now),
            "metrics": {},
            "data_removed": forgotten,
            "created_at": stamp(run.created_at),
            "started_at": stamp(run.started_at) if now >= run.started_at else None,
            "completed_at": stamp(run.cancelled_at or run.ends_at) if ended else None,
            "urls": {},
        } | ({"webhook": run.webhook} if run.webhook else {})

    def _worded(self, status: str) -> str:
        odd = status == "processing" and self.rng.random() < self.behaviour.unknown_status
        return "reticulating" if odd else status

    def _upload(self, name: str, data: bytes, content_type: str) -> Answer:
        file_id = base64.b64encode(self.rng.randbytes(16)).decode()
        self.files[file_id] = data
        url = f"{self.base_url}/v1/files/{file_id}"
        shown = {"id": file_id, "name": name, "content_type": content_type, "size": len(data)}
        return said(shown | {"urls": {"get": url}}, 201)


ALL_FLAGGED = "All generated images contained NSFW content. Try running it again with a different prompt."
GOOD_OUTPUTS: tuple[Callable[[str, str], Any], ...] = (
    lambda model, version: {"version": f"{model}:{version}"},
    lambda model, version: {"version": version},
    lambda model, version: f"{model}:{version}",
    lambda model, version: {"version": f"https://api.replicate.com/v1/models/{model}/versions/{version}"},
)
ODD_OUTPUTS: tuple[Callable[[str, str], Any], ...] = (
    lambda model, version: "null:null",
    lambda model, version: {"version": f"{model}:{version.upper()}"},
    lambda model, version: {"version": f"studio/{'z' * 12}-selfie-lora:{version}"},
    lambda model, version: {"version": TRAINER},
    lambda model, version: {"version": f"{model}:{version[:40]}"},
)


def version_of(run: Run) -> str:
    """The id of the version that a training makes."""
    return hashlib.sha256(run.id.encode()).hexdigest()


def shown_version(run: Run) -> dict[str, Any]:
    return {"id": version_of(run), "created_at": stamp(run.ends_at), "openapi_schema": SCHEMA}


def log_of(run: Run, now: datetime) -> str:
    """The end of a training's log; nothing before it starts."""
    if run.kind != "trainings" or now < run.started_at:
        return ""
    share = min(1.0, (now - run.started_at) / (run.ends_at - run.started_at + timedelta(microseconds=1)))
    bar = f"flux_train_replicate: {share:4.0%}|███| {int(1000 * share)}/1000 [00:01<00:01,  1.05s/it]\n"
    return "Caption 3/3: a person\n" + bar


def _some(chance: random.Random, seconds: tuple[float, float]) -> timedelta:
    return timedelta(seconds=chance.uniform(*seconds))
