"""A TCP proxy that can drop every connection at once, as a network that fails does."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Final, Self

HOST: Final = "127.0.0.1"
BLOCK_BYTES: Final = 2**16
AT_ONCE: Final = struct.pack("ii", 1, 0)
"""Closes with a reset, and whatever has not been sent is lost."""


class Proxy:
    """Passes connections on to one of some ports in turn; one that nobody listens on is passed over."""

    def __init__(self, ports: Sequence[int]) -> None:
        """Listen on a free port."""
        self._ports = list(ports)
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {self.port}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._pass_on, sock=self._listener)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def drop(self) -> int:
        """Reset all connections, on both sides; return how many there were."""
        return asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result()

    async def _drop(self) -> int:
        dropped = len(self._open) // 2
        for writer in list(self._open):
            connection = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            writer.transport.abort()
        return dropped

    async def _close(self) -> None:
        self._server.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await self._drop()
            await asyncio.wait(others, timeout=1)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            far_reader, far_writer = await self._connected()
        except OSError:
            self._let_go(writer)
            return
        self._open.add(far_writer)
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            self._let_go(writer)
            self._let_go(far_writer)

    def _let_go(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.transport.abort()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        problem = OSError("nobody listens")
        for _ in self._ports:
            self._ports.append(self._ports.pop(0))
            try:
                return await asyncio.open_connection(HOST, self._ports[-1])
            except OSError as error:
                problem = error
        raise problem


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(BLOCK_BYTES):
            writer.write(block)
            await writer.drain()
        writer.write_eof()
