"""What the simulated cloud posts about its runs, signed as Standard Webhooks are, and what forgers post. Pure.

Who posts it, when, how often, and whether it arrives is the simulation's and the rig's to say.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests.fakes.simulated_cloud import WEBHOOK_KEY, Run, SimulatedCloud


@dataclass(frozen=True)
class Post:
    """One message on its way; `about` is the run whose state it shows."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    about: str

    @property
    def id(self) -> str:
        """The message's own id, the same however often it is posted."""
        return self.headers["webhook-id"]

    @property
    def address(self) -> list[str]:
        """Account, kind and token in its address."""
        return self.url.rsplit("/", 3)[1:]


def post_of(cloud: SimulatedCloud, run: Run, event: str) -> Post:
    """What the cloud says of a run at this moment."""
    assert run.webhook is not None
    body = json.dumps(cloud.shown(run)).encode()
    return Post(run.webhook, signed(cloud, f"msg_{run.id}_{event}", body), body, run.id)


def forged(cloud: SimulatedCloud, post: Post) -> Post:
    """The same words from somebody who has no key."""
    headers = signed(cloud, f"forged_{post.id}", post.body, b"a stranger's key")
    return replace(post, headers=headers)


def crossed(cloud: SimulatedCloud, run: Run, other: Run) -> Post:
    """Rightly signed, about one run, at the address of another."""
    assert other.webhook is not None
    body = json.dumps(cloud.shown(run)).encode()
    return Post(other.webhook, signed(cloud, f"crossed_{run.id}_{other.id}", body), body, run.id)


def signed(cloud: SimulatedCloud, message_id: str, body: bytes, key: bytes = WEBHOOK_KEY) -> dict[str, str]:
    """The headers of a body that is sent now."""
    stamp = str(int(cloud.now().timestamp()))
    mac = hmac.digest(key, f"{message_id}.{stamp}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": signature}
