"""Handing a letter to the operator's mail server, in a thread. No retries: those are the rows' (`post`)."""

import asyncio
import ipaddress
import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Self
from urllib.parse import unquote, urlsplit

from portraitist.studio.accounts.mail.letters import Letter

TIMEOUT_S = 20.0
PORTS = {"smtp": 587, "smtps": 465}


class NotSent(Exception):
    """The mail server did not take the letter. `for_good`: nor will it later."""

    def __init__(self, reason: str, *, for_good: bool) -> None:
        super().__init__(reason)
        self.for_good = for_good


@dataclass(frozen=True)
class Server:
    """The operator's mail server: TLS from the start, or STARTTLS; in the clear on this machine only."""

    host: str
    port: int
    tls: bool
    user: str
    password: str

    @classmethod
    def of(cls, url: str) -> Self:
        """From smtp://user:password@host:587 or smtps://…:465. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("not an address of a mail server")
        return cls(
            parts.hostname,
            parts.port or PORTS[parts.scheme],
            parts.scheme == "smtps",
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, so that nothing travels."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True)
class Mailer:
    """Sends from one address by one server."""

    server: Server
    sender: str

    async def send(self, to: str, letter: Letter, now: datetime) -> None:
        """Hand the letter over. Raises NotSent."""
        message = EmailMessage()
        message["From"], message["Subject"] = self.sender, letter.subject
        message["To"] = _one_address(to)
        message["Date"], message["Message-ID"] = format_datetime(now), make_msgid(domain="portraitist")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        try:
            await asyncio.to_thread(self._hand_over, message, to)
        except smtplib.SMTPRecipientsRefused as exc:
            codes = [code for code, _ in exc.recipients.values()]
            raise NotSent(f"recipient refused: {codes}", for_good=all(code >= 500 for code in codes)) from exc
        except smtplib.SMTPException as exc:
            raise NotSent(type(exc).__name__, for_good=False) from exc
        except OSError as exc:
            raise NotSent(f"unreachable ({type(exc).__name__})", for_good=False) from exc

    def _hand_over(self, message: EmailMessage, to: str) -> None:
        context, server = ssl.create_default_context(), self.server
        if server.tls:
            line: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=TIMEOUT_S, context=context
            )
        else:
            line = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        with line:
            if not server.tls and not server.is_here:
                line.starttls(context=context)  # raises where the server has none: nothing goes in the clear
            if server.user:
                line.login(server.user, server.password)
            line.send_message(message, to_addrs=[to])


def _one_address(text: str) -> Address:
    """The address as one, however it reads: a comma in it must not make two. Raises NotSent."""
    try:
        address = Address(addr_spec=text)
    except (ValueError, MessageError, IndexError) as exc:
        raise NotSent("no mail address", for_good=True) from exc
    if address.addr_spec != text:
        raise NotSent("no mail address", for_good=True)
    return address
