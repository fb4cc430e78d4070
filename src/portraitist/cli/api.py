"""The HTTP client of `/api/v1`, as the command line uses it.

Every call can be repeated without harm (POSTs that start work carry an Idempotency-Key), so a call that meets a
restarting part is repeated for a while before the studio counts as lost. The API's keys are known to `wire.py` alone.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import httpx2

from portraitist.cli import wire
from portraitist.cli.errors import BadUsage, CliError, PartAway, StudioLost

# A part that was killed is back within seconds; PostgreSQL after a crash recovery too.
PATIENCE_S = 40.0
PAUSE_S = 0.5
TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
# The studio sends a comment every 15 s; a stream silent for longer is dead.
STREAM_TIMEOUT = httpx2.Timeout(20.0, connect=5.0)

_BAD_REQUEST = frozenset({400, 404, 409, 413, 415, 422})
_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})


class StudioApi:
    """One studio at one address, opened with one token (the instance's or a member's)."""

    def __init__(
        self, client: httpx2.AsyncClient, token: str, gone: Callable[[], bool], *, signed_in: bool = False
    ) -> None:
        """`gone` says that waiting for the studio is in vain; `signed_in`: as a member, by `portraitist login`."""
        self._client = client
        self._token = token
        self._gone = gone
        self.signed_in = signed_in

    def as_member(self, member: wire.Member) -> "StudioApi":
        """The same studio, seen by a member."""
        return StudioApi(self._client, member.token, self._gone)

    async def status(self) -> wire.StudioStatus:
        """What runs and how it does (instance token); a member is told who makes the pictures."""
        if self.signed_in:
            return wire.StudioStatus.of({"provider": await self._json("GET", "/engine")})
        return wire.StudioStatus.of(await self._json("GET", "/status"))

    async def me(self) -> wire.Member:
        """The member whose token this is."""
        item = await self._json("GET", "/me")
        return wire.Member(item["id"], item["handle"], item["subject_word"], self._token)

    async def set_subject_word(self, word: str) -> None:
        """Another word for the person in prompts."""
        await self._json("PATCH", "/me", json={"subject_word": word})

    async def first_link(self) -> str | None:
        """The one-time link to the first account (instance token); None once there is an admin."""
        response = await self._send("POST", "/admin/first-link")
        if response.status_code == httpx2.codes.CONFLICT:
            return None
        if not response.is_success:
            refused(response)
        return str(response.json()["url"])

    async def admin(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """One call of an admin's work, under `/admin` (instance token, or an admin's); {} where nothing is told."""
        response = await self._send(method, f"/admin{path}", **({} if body is None else {"json": body}))
        if not response.is_success:
            refused(response)
        told: Mapping[str, Any] = response.json() if response.content else {}
        return told

    async def local_member(self, handle: str, subject_word: str) -> wire.Member:
        """The local member of that handle, made when new; a new token each time (instance token)."""
        body = {"handle": handle, "subject_word": subject_word}
        item = await self._json("POST", "/local-members", json=body)
        return wire.Member(item["id"], item["handle"], item["subject_word"], item["token"])

    async def knows_me(self) -> bool:
        """Whether the member's token still opens the studio."""
        response = await self._send("GET", "/me")
        return response.status_code == httpx2.codes.OK

    async def consent_given(self) -> bool:
        """Whether a consent of this member stands."""
        items = (await self._json("GET", "/consents"))["items"]
        return any(item.get("withdrawn_at") is None for item in items)

    async def consent_wording(self) -> tuple[str, str]:
        """Version and text of what the member agrees to."""
        item = await self._json("GET", "/consents/wording")
        return str(item["version"]), item["text"]

    async def give_consent(self, version: str) -> None:
        """Store the member's yes to that wording."""
        await self._json("POST", "/consents", json={"version": version})

    async def photos(self) -> list[wire.Photo]:
        """The member's selfies, judged."""
        return [wire.Photo.of(item) for item in (await self._json("GET", "/selfies"))["items"]]

    async def upload(self, files: Sequence[tuple[str, bytes]]) -> list[wire.Photo]:
        """Hand over photos (name, bytes); each comes back judged."""
        parts = [("files", (name, data, "application/octet-stream")) for name, data in files]
        return [wire.Photo.of(item) for item in (await self._json("POST", "/selfies", files=parts))["items"]]

    async def remove_photo(self, photo_id: str) -> None:
        """Take a selfie back; already gone is fine."""
        response = await self._send("DELETE", f"/selfies/{photo_id}")
        if response.status_code not in (httpx2.codes.NO_CONTENT, httpx2.codes.NOT_FOUND):
            refused(response)

    async def start_training(self, key: str) -> wire.Training:
        """Train on all accepted selfies; the same key gives the same training."""
        item = await self._json("POST", "/trainings", json={}, headers={"Idempotency-Key": key})
        return wire.Training.of(item)

    async def trainings(self) -> list[wire.Training]:
        """Newest first."""
        return [wire.Training.of(item) for item in (await self._json("GET", "/trainings"))["items"]]

    async def training(self, training_id: str) -> wire.Training:
        """One training."""
        return wire.Training.of(await self._json("GET", f"/trainings/{training_id}"))

    async def act_on_training(self, training_id: str, verb: str) -> wire.Training:
        """`cancel` or `retry`."""
        return wire.Training.of(await self._json("POST", f"/trainings/{training_id}/{verb}"))

    async def models(self) -> tuple[wire.Model | None, list[wire.Model]]:
        """The active version and all versions."""
        item = await self._json("GET", "/models")
        active = wire.Model.of(item["active"]) if item.get("active") else None
        return active, [wire.Model.of(version) for version in item.get("versions") or ()]

    async def activate(self, model_id: str) -> None:
        """Make an earlier version the active one."""
        await self._json("POST", f"/models/{model_id}/activate")

    async def start_generation(self, prompt: str, key: str) -> wire.Generation:
        """Ask for three pictures; the same key gives the same generation."""
        body, headers = {"prompt": prompt}, {"Idempotency-Key": key}
        return wire.Generation.of(await self._json("POST", "/generations", json=body, headers=headers))

    async def generation(self, generation_id: str) -> wire.Generation:
        """One generation."""
        return wire.Generation.of(await self._json("GET", f"/generations/{generation_id}"))

    async def picture(self, picture_id: str) -> bytes:
        """The picture's PNG."""
        response = await self._send("GET", f"/images/{picture_id}/file")
        if not response.is_success:
            refused(response)
        return response.content

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[httpx2.ServerSentEvent]]:
        """The member's live events; raises httpx2.HTTPError where the stream can't be had or breaks."""
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._client.sse("/api/v1/events", headers=headers, timeout=STREAM_TIMEOUT) as source:
            source.response.raise_for_status()
            yield aiter(source)

    async def take_back(
        self, method: str, path: str, receipt_token: str, body: Mapping[str, Any] | None = None
    ) -> None:
        """Begin an erasure whose receipt that token will open. One whose answer was lost has begun with it too."""
        sent = {"headers": {"Receipt-Token": receipt_token}, **({} if body is None else {"json": body})}
        response = await self._send(method, path, **sent)
        if not response.is_success and not await self.has_receipt(receipt_token):
            refused(response)

    async def prove(self, password: str) -> None:
        """Prove that it is the member, for what needs a proof of the last minutes."""
        await self._json("POST", "/proof", json={"password": password})

    async def has_receipt(self, token: str) -> bool:
        """Whether an erasure has begun with that token."""
        response = await self._send("GET", "/receipt", headers={"Receipt-Token": token})
        return response.is_success

    async def receipt(self, token: str) -> Mapping[str, Any]:
        """What an erasure has come to."""
        return await self._json("GET", "/receipt", headers={"Receipt-Token": token})

    @asynccontextmanager
    async def export(self, start: int, tag: str | None) -> AsyncIterator[httpx2.Response]:
        """Everything of the member's as a zip, from a byte on if it is still the one of that tag; else anew."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if start and tag:
            headers |= {"Range": f"bytes={start}-", "If-Range": tag}
        async with self._client.stream("GET", "/api/v1/account/export", headers=headers) as response:
            if not response.is_success:
                await response.aread()
                refused(response)
            yield response

    async def _json(self, method: str, path: str, **request: Any) -> Mapping[str, Any]:
        response = await self._send(method, path, **request)
        if not response.is_success:
            refused(response)
        item: Mapping[str, Any] = response.json()
        return item

    async def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """One call, repeated while a part restarts."""
        headers = {"Authorization": f"Bearer {self._token}", **request.pop("headers", {})}
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                response = await self._client.request(method, f"/api/v1{path}", headers=headers, **request)
                if response.status_code not in _TRY_AGAIN or time.monotonic() > deadline:
                    return response
            except httpx2.TransportError as error:
                if self._gone() or time.monotonic() > deadline:
                    raise StudioLost(
                        "The studio stopped answering.",
                        next_step="`portraitist doctor` says which part is away; then run the same command again.",
                        code="studio_lost",
                    ) from error
            await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def connect(
    base_url: str, token: str, gone: Callable[[], bool], *, signed_in: bool = False
) -> AsyncIterator[StudioApi]:
    """A client of the studio at `base_url`; proxies of the environment are not used."""
    async with httpx2.AsyncClient(base_url=base_url, timeout=TIMEOUT, trust_env=False) as client:
        yield StudioApi(client, token, gone, signed_in=signed_in)


async def healthy(base_url: str) -> bool:
    """Whether a studio answers there, its database included."""
    async with httpx2.AsyncClient(base_url=base_url, timeout=5.0, trust_env=False) as client:
        try:
            response = await client.get("/healthz")
            return response.is_success and response.json().get("status") == "ok"
        except (httpx2.HTTPError, ValueError):
            return False


async def provider_answer(base_url: str, token: str) -> str:
    """What a provider says about the account behind the token: its status and a word, or why it can't be reached."""
    address = base_url.rstrip("/").removesuffix("/v1") + "/v1/account"
    async with httpx2.AsyncClient(timeout=10.0) as client:
        try:
            response = await client.get(address, headers={"Authorization": f"Bearer {token}"})
        except httpx2.HTTPError as error:
            return f"can't be reached ({type(error).__name__})"
    return f"{response.status_code} {response.reason_phrase}"


def refused(response: httpx2.Response) -> NoReturn:
    """The studio's problem as the CLI's error: its sentence, its next step, its code."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    text = problem.get("detail") or f"The studio answered {response.status_code}."
    details = {"next_step": problem.get("next_step"), "code": problem.get("code") or "refused"}
    if response.status_code in _BAD_REQUEST:
        raise BadUsage(text, **details)
    if response.status_code in _TRY_AGAIN:
        raise PartAway(text, **details)
    raise CliError(text, **details)
