"""The service as a process: its socket, its time limits, its end."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

from pyg_sgm.index import SceneGraphIndex
from pyg_sgm.serve._fastapi import H11Protocol, uvicorn
from pyg_sgm.serve.app import create_app

PATIENCE = 20.0  # seconds to say what is wanted
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


class _Impatient(H11Protocol):
    """Closes connections that do not say what they want: uvicorn waits for a first request, or for
    its last header, as long as it takes."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        asyncio.get_running_loop().call_later(PATIENCE, self._late, self.cycle)

    def _late(self, before: Any) -> None:
        if self.cycle is before and not self.transport.is_closing():
            self.transport.close()


def listen(host: str = "127.0.0.1", port: int = 8000) -> socket.socket:
    """A socket that waits for requests.

    Args:
        host (str, optional): Name or address to listen at; others than those of the machine itself
            are seen by its network. (default: :obj:`"127.0.0.1"`)
        port (int, optional): Port; 0 takes a free one. (default: :obj:`8000`)

    Raises:
        OSError: Naming both, if it cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:  # the latter of a port above 65535
        why = getattr(error, "strerror", None) or error
        raise OSError(f"cannot listen at {host} port {port}: {why}") from error
    # Connections inherit it; asyncio sets it on sockets of a named protocol alone. Without it the
    # end of an answer waits 40 ms for the client to acknowledge its beginning.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def is_local(host: str) -> bool:
    """Whether only this machine can reach an address.

    Args:
        host (str): Name or address.

    Example:
        >>> is_local("localhost"), is_local("::1"), is_local("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def make_server(
    index: SceneGraphIndex, sock: socket.socket, *, token: str | None = None
) -> uvicorn.Server:
    """A server whose ``run(sockets=[sock])`` answers until SIGINT or SIGTERM, then finishes what it
    has begun.

    Args:
        index (SceneGraphIndex): An open index.
        sock (socket): Of :func:`listen`.
        token (str, optional): What requests must know. (default: :obj:`None`, nothing)

    Raises:
        ImportError: Without FastAPI and uvicorn.
    """
    if len(index):
        index.search("a photo", k=1)  # opens what is opened when it is needed: nobody waits for it
    local = is_local(sock.getsockname()[0])
    app = create_app(index, token=token, hosts=_LOCAL if local else None, patience=PATIENCE)
    config = uvicorn.Config(
        app, http=_Impatient, ws="none", loop="asyncio", lifespan="on", log_level="warning",
        access_log=False, server_header=False, limit_concurrency=512, timeout_keep_alive=10,
        timeout_graceful_shutdown=10,
    )  # fmt: skip
    return uvicorn.Server(config)
