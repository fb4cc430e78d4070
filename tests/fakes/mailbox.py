"""A mail server on this machine that keeps what it is handed, or refuses it, for tests."""

import email
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Mailbox:
    """Letters in the order in which they came. `answers`: what the next ones are refused with."""

    url: str = ""
    letters: list[EmailMessage] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802  # the library's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        message = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.letters.append(message)
        return "250 OK"

    def text(self, place: int = -1) -> str:
        """What one of them says."""
        text: str = self.letters[place].get_content()
        return text

    def secret(self, page: str) -> str:
        """What stands behind the # of the link to this page in the last letter."""
        [link] = [line for line in self.text().splitlines() if f"/{page}#" in line]
        return link.partition("#")[2]

    def subjects(self) -> list[str]:
        """Of all that came since the last look."""
        found = [str(each["subject"]) for each in self.letters]
        self.letters.clear()
        return found


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """A running server; its address is `url`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = Mailbox(url=f"smtp://127.0.0.1:{port}")
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
