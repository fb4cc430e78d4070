"""A TCP proxy for tests: between the studio and its database or provider, to cut, delay, or swallow a reply."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

CHUNK = 65_536


@dataclass
class Proxy:
    """Forwards connections to `upstream`: (host, port), or the path of a socket.

    What goes wrong is set while it runs, from any thread. `delay_s`: before every chunk of a reply. `swallow`: the
    next reply after a request with these bytes never arrives, and its connection breaks (the request was done).
    `cut`: every new connection breaks.
    """

    upstream: tuple[str, int] | str
    delay_s: float = 0.0
    swallow: bytes | None = None
    cut: bool = False
    swallowed: int = 0
    address: tuple[str, int] = ("", 0)
    _break: bool = False
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, ready: threading.Event, stop: threading.Event) -> None:
        """Until `stop`."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = server.sockets[0].getsockname()[:2]
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.02)
            if self._break:
                self._break = False
                self._abort_all()
        server.close()
        self._abort_all()

    def break_all(self) -> None:
        """Every open connection breaks within 20 ms."""
        self._break = True

    def _abort_all(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await self._upstream()
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, up_writer}
        marked = asyncio.Event()
        both = [
            asyncio.create_task(self._requests(reader, up_writer, marked)),
            asyncio.create_task(self._replies(up_reader, writer, marked)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            self._open -= {writer, up_writer}
            writer.transport.abort()
            up_writer.transport.abort()

    async def _upstream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, str):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection(*self.upstream)

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, marked: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.swallow is not None and self.swallow in data:
                    self.swallow = None
                    marked.set()
                writer.write(data)
                await writer.drain()

    async def _replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, marked: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if marked.is_set():
                    self.swallowed += 1
                    return
                await asyncio.sleep(self.delay_s)
                writer.write(data)
                await writer.drain()


@contextlib.contextmanager
def proxied(upstream: tuple[str, int] | str) -> Iterator[Proxy]:
    """A proxy in a thread of its own while the block runs."""
    proxy, ready, stop = Proxy(upstream), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve(ready, stop)), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        stop.set()
        thread.join(10)
