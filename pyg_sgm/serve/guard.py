"""What every request passes: who may ask, how much, and how long it may take."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Callable, Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, unquote

from pyg_sgm.serve._fastapi import ASGIApp, Headers, Message, Receive, Scope, Send

COOKIE = "pyg_sgm_token"
MOST_JSON = 1 << 16  # bytes of a request
MOST_UPLOAD = 20 << 20  # bytes of a photo
MOST_UPLOADS = 4  # that are received at once
UPLOAD = "/api/similar"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
Done = Callable[[str, int, float], None]


class Refused(Exception):
    """A request that is not answered, with the status and what is said instead."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers or {}


class Guard:
    """Stands before an application: refuses strangers and what is too long or too slow, and gives
    every answer the headers that keep a browser from doing more than the page needs.

    A request is read whole before the application sees it. The token comes as ``Authorization:
    Bearer`` or as the cookie that ``/?token=...`` sets.

    Args:
        app (ASGIApp): The application.
        token (str, optional): What a request must know. (default: :obj:`None`, nothing)
        hosts (list of str, optional): Names that the service answers to, so that no other site's
            name can be pointed at it. (default: :obj:`None`, any)
        patience (float, optional): Seconds to receive a request, and to be rid of each part of an
            answer. (default: :obj:`20.0`)
        done (callable, optional): Told path, status and seconds of every request. (default:
            :obj:`None`)
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str | None = None,
        hosts: Collection[str] | None = None,
        patience: float = 20.0,
        done: Done | None = None,
    ) -> None:
        self.app, self.token, self.hosts = app, token, hosts
        self.patience, self.done = patience, done
        self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        start, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await asyncio.wait_for(send(message), self.patience)

        uploading = scope["path"] == UPLOAD
        self._uploads += uploading
        try:
            self._check(scope)
            if uploading and self._uploads > MOST_UPLOADS:
                raise Refused(503, "too many photos at once", {"retry-after": "2"})
            body = await self._read(scope, receive, MOST_UPLOAD if uploading else MOST_JSON)
            await self.app(scope, _replay(body, receive), answer)
        except Refused as refused:
            await _refuse(answer, refused)
        except TimeoutError:  # the client takes no answer
            status = status or 408
        finally:
            self._uploads -= uploading
            if self.done is not None:
                self.done(scope["path"], status, time.perf_counter() - start)

    def _check(self, scope: Scope) -> None:
        """Raises Refused for a request of a stranger, or sends it on with its cookie."""
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "").rsplit("]", 1)
        name = host[0] + "]" if len(host) == 2 else host[0].split(":")[0]
        if self.hosts is not None and name.lower() not in self.hosts:
            raise Refused(421, "this is not the host of this service")
        if headers.get("sec-fetch-site") == "cross-site" and path != "/":
            raise Refused(403, "other sites may not ask")
        if self.token is None or path == "/health":
            return
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if path == "/" and asked and self._is_token(asked[0]):
            cookie = f"{COOKIE}={quote(self.token)}; HttpOnly; SameSite=Lax; Path=/"
            raise Refused(303, "", {"location": "/", "set-cookie": cookie})
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given.strip()):
            return
        if not self._is_token(_cookie(headers.get("cookie", ""))):
            message = "this service needs its token: Authorization: Bearer, or /?token=... once"
            raise Refused(401, message, {"www-authenticate": "Bearer"})

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self.token or "").encode())

    async def _read(self, scope: Scope, receive: Receive, most: int) -> bytes:
        """The body. One that is too long is read on and forgotten, so that who sends it hears of
        it."""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.patience):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the request broke off")
                    part = message.get("body", b"")
                    size += len(part)
                    if size <= most:
                        parts.append(part)
                    elif size > 4 * most:
                        break
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise Refused(408, "the request came too slowly") from None
        if size > most:
            raise Refused(413, f"a request may have {most:,} bytes", {"connection": "close"})
        return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """What receives a body that was read before."""
    unread = [body]

    async def again() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        return await receive()

    return again


async def _refuse(send: Send, refused: Refused) -> None:
    body = json.dumps({"error": str(refused)}).encode()
    headers = {"content-type": "application/json", "content-length": f"{len(body)}"}
    pairs = [(k.encode(), v.encode()) for k, v in {**headers, **refused.headers}.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _cookie(header: str) -> str:
    """The token among the cookies, or nothing."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else unquote(found.value)
