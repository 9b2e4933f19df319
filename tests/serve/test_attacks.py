"""Nothing leaks and nothing dies, whatever is asked."""

import io
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("lancedb")

import httpx  # noqa: E402

from pyg_sgm.index import SceneGraphIndex  # noqa: E402
from pyg_sgm.serve import server  # noqa: E402
from pyg_sgm.serve.guard import MOST_JSON, MOST_UPLOAD, MOST_UPLOADS  # noqa: E402
from tests.helpers.service import EVIL, photo_index, running  # noqa: E402

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> SceneGraphIndex:
    return photo_index(tmp_path_factory.mktemp("attacked"))


@pytest.fixture(scope="module")
def address(index: SceneGraphIndex) -> Iterator[str]:
    with running(index) as address:
        yield address


@pytest.fixture(autouse=True)
def lives_and_tells_nothing(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """No answer names a folder of the machine or shows a traceback, and the service goes on."""
    answers: list[httpx.Response] = []
    send = httpx.Client.send

    def kept(self: httpx.Client, *arguments: object, **options: object) -> httpx.Response:
        answers.append(send(self, *arguments, **options))
        return answers[-1]

    monkeypatch.setattr(httpx.Client, "send", kept)
    yield
    for answer in answers:
        if "image" not in answer.headers.get("content-type", ""):
            for secret in ("/tmp", str(Path.cwd()), "site-packages", "Traceback", "root:"):
                assert secret not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    if "address" in request.fixturenames:
        address = request.getfixturevalue("address")
        found = httpx.post(f"{address}/api/search", json={"text": "ball"}, timeout=60).json()
        assert len(found["hits"]) == 12


@pytest.mark.parametrize(
    "id",
    [
        "../captions.csv", "../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "..", "0.png/",
        "photos/../0.png", "0.png\x00", "%2e%2e/captions.csv", "' OR '1'='1", "*", " 0.png",
    ],
)  # fmt: skip
def test_photos_are_those_of_rows(address: str, id: str) -> None:
    for path in ("/api/photo", "/api/record"):
        answer = httpx.get(f"{address}{path}", params={"id": id})
        assert (answer.status_code, answer.json()) == (404, {"error": "there is no such photo"})
    for asked in ({"like": id}, {"id": id, "query": {"texts": ["ball"]}}):
        path = "/api/search" if "like" in asked else "/api/explain"
        assert httpx.post(f"{address}{path}", json=asked).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page//etc/passwd",
        "/page/..\\app.py", "/../../etc/passwd", "//etc/passwd", "/page/", "/docs", "/redoc",
    ],
)  # fmt: skip
def test_files_are_those_of_the_page(address: str, path: str) -> None:
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as sock:
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 307")), answer[:200]
    assert b"import" not in answer
    assert b"root:" not in answer


def test_a_row_whose_file_is_no_photo_any_more(tmp_path: Path) -> None:
    own = photo_index(tmp_path)
    secret = tmp_path / "secret.txt"
    secret.write_text("root: a secret")
    (tmp_path / "photos" / "0.png").unlink()
    (tmp_path / "photos" / "0.png").symlink_to(secret)
    (tmp_path / "photos" / "1.png").write_bytes(b"")
    (tmp_path / "photos" / "2.png").unlink()
    with running(own) as address:
        for name in ("0.png", "1.png", "2.png"):
            answer = httpx.get(f"{address}/api/photo", params={"id": name})
            assert answer.status_code == 404
            assert answer.json() == {"error": "the file of this photo cannot be read"}


@pytest.mark.parametrize(
    "images", [["/etc/passwd"], ["0.png"], [{"file": "/etc/passwd"}], "/etc/passwd", [[]]]
)
def test_a_query_opens_no_file(address: str, images: object) -> None:
    answer = httpx.post(f"{address}/api/search", json={"query": {"images": images}})
    assert answer.status_code == 400
    assert "a photo is sent" in answer.json()["error"]


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "year", "op": "=", "value": "2020 OR 1=1"},
        {"field": "note", "op": "=", "value": "x' OR '1'='1"},
        {"field": "note", "op": "contains", "value": "') > 0 OR ('1' = '1"},
        {"field": "path", "op": "contains", "value": "/"},
        {"field": "id", "op": "!=", "value": ""},
        {"field": "year; DROP TABLE images", "op": "=", "value": 1},
        {"field": "1=1 OR year", "op": "=", "value": 1},
        {"field": "note", "op": "LIKE", "value": "%"},
        {"field": "note", "op": "= '' OR note !=", "value": "x"},
        {"field": "year", "op": "=", "value": {"sql": "1"}},
        {"field": "year", "op": "=", "value": 2020, "or": "1=1"},
        {"field": "kept", "op": "=", "value": "true) OR (true"},
        {"field": "taken", "op": "=", "value": "2024-05-01' OR '1'='1"},
        {"field": "year", "op": "=", "value": 10**400},
    ],
)
def test_filters_are_no_sql(address: str, condition: dict) -> None:
    answer = httpx.post(
        f"{address}/api/search",
        content=json.dumps({"text": "ball", "filters": [condition]}),
        headers=JSON,
        timeout=60,
    )
    assert answer.status_code in (400, 422) or answer.json()["hits"] == []
    assert httpx.get(f"{address}/api/info").json()["num_images"] == 12


@pytest.mark.parametrize(
    "text", ["a ball " * 14_286, "x" * 100_000, "\U0001f3a8" * 25_000, "and " * 240 + "ball", ""]
)
def test_long_sentences(address: str, text: str) -> None:
    for path in ("/api/parse", "/api/search"):
        answer = httpx.post(f"{address}{path}", json={"text": text}, timeout=60)
        assert answer.status_code in (400, 413, 422)
        assert len(answer.text) < 300  # it is not sent back


@pytest.mark.parametrize(
    "query",
    [
        {}, {"texts": []}, {"texts": [{"objects": [""]}]}, {"texts": ["ball"] * 300},
        {"texts": [{"caption": "ball", "words": ["ball"], "objects": ["ball"],
                    "spans": {"object": [[10**9]]}}]},
        {"texts": [{"objects": ["ball"], "relations": [[0, "on", -1]]}]},
        {"texts": ["ball"], "weights": {"ball": 1e400}}, {"texts": [["ball"]]},
        {"texts": [{"objects": ["ball"] * 500}]}, {"__class__": "x"}, {"texts": {"a": 1}},
    ],
)  # fmt: skip
def test_queries_that_are_none(address: str, query: dict) -> None:
    body = json.dumps({"query": query}).replace("Infinity", "1e999")
    answer = httpx.post(f"{address}/api/search", content=body, headers=JSON, timeout=60)
    assert answer.status_code in (400, 422), answer.text
    assert "request: " not in answer.text  # it was read
    assert len(answer.text) < 1000


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[1]", b"\xff\xfe", b'{"text": 1}', b'{"text": "a", "k": 1e9}',
     b'{"text": "a", "threshold": NaN}', b'{"text": "a", "extra": 1}', b"[" * 60_000,
     b'{"text": "\\ud800"}', b'{"text": "a", "like": "0.png"}', b'{"text": "a", "k": -1}'],
)  # fmt: skip
def test_bodies_that_are_none(address: str, body: bytes) -> None:
    answer = httpx.post(f"{address}/api/search", content=body, headers=JSON, timeout=60)
    assert answer.status_code in (400, 422), answer.text


def test_markup_is_text(address: str) -> None:
    text = "<script>alert(1)</script> a ball"
    answer = httpx.post(f"{address}/api/search", json={"text": text}, timeout=60)
    assert answer.headers["content-type"] == "application/json"
    assert EVIL in [hit["id"] for hit in answer.json()["hits"]]
    page = httpx.get(address)
    assert "<script>" not in page.text  # all of it is in files of its own
    assert "style=" not in page.text


def test_large_bodies(address: str) -> None:
    answer = httpx.post(f"{address}/api/similar", content=bytes(50 << 20), timeout=60)
    assert answer.status_code == 413
    assert f"{MOST_UPLOAD:,}" in answer.json()["error"]
    answer = httpx.post(f"{address}/api/search", content=b" " * (MOST_JSON + 1), timeout=60)
    assert answer.status_code == 413

    def chunks() -> Iterator[bytes]:  # of no length that is known before
        for _ in range(30):
            yield bytes(1 << 20)

    assert httpx.post(f"{address}/api/similar", content=chunks(), timeout=60).status_code == 413


def test_broken_photos(address: str) -> None:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(file, "PNG")
    whole = file.getvalue()
    huge = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)  # what a PNG says of its size
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + huge
    bomb += struct.pack(">I", zlib.crc32(b"IHDR" + huge)) + whole[33:]
    script = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n"
    for content in (b"", b"no photo", whole[:200], whole[:-100], bomb, script, postscript):
        answer = httpx.post(f"{address}/api/similar", content=content, timeout=60)
        assert answer.status_code == 400, content[:20]
        assert "no photo" in answer.json()["error"]


def test_slow_clients(index: SceneGraphIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    head = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
    with running(index) as address:
        parts = urlsplit(address)
        place = (parts.hostname, parts.port)
        socks = [socket.create_connection(place, timeout=20) for _ in range(50)]
        said = [b"", b"GET", head, head + b"\r\n{", b"GET / HTTP/1.1"] * 10
        for sock, part in zip(socks, said, strict=True):
            sock.sendall(part)
        start = time.monotonic()
        answer = httpx.post(f"{address}/api/search", json={"text": "ball"}, timeout=60)
        assert answer.status_code == 200  # nobody waits for them
        for sock in socks:
            answer = b"".join(iter(lambda sock=sock: sock.recv(4096), b""))  # till it is closed
            assert answer == b"" or answer[:13] in (b"HTTP/1.1 408 ", b"HTTP/1.1 400 ")
            sock.close()
        assert time.monotonic() - start < 15


def test_many_photos_at_once(index: SceneGraphIndex) -> None:
    head = b"POST /api/similar HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    with running(index) as address:
        parts = urlsplit(address)
        socks = []
        for _ in range(MOST_UPLOADS):
            socks.append(socket.create_connection((parts.hostname, parts.port), timeout=20))
            socks[-1].sendall(head)
        time.sleep(0.5)
        answer = httpx.post(f"{address}/api/similar", content=b"one more", timeout=60)
        assert answer.status_code == 503
        for sock in socks:
            sock.close()


def test_the_token(index: SceneGraphIndex) -> None:
    with running(index, token="open; sesame") as address, httpx.Client(base_url=address) as client:
        assert client.get("/health").status_code == 200
        for path in ("/", "/api/info", "/metrics", "/openapi.json", "/page/main.js"):
            assert client.get(path).status_code == 401
            assert client.get(path, params={"token": "wrong"}).status_code == 401
            bearer = {"authorization": "Bearer open; sesame"}
            assert client.get(path, headers=bearer).status_code == 200
            assert client.get(path, headers={"authorization": "Basic x"}).status_code == 401
            assert client.get(path, headers={"cookie": b"pyg_sgm_token=\xff"}).status_code == 401
        answer = client.get("/", params={"token": "open; sesame"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert client.get("/api/info").status_code == 200  # by the cookie


def test_other_sites(address: str) -> None:
    """No name of another site that points here is answered, and no other page's request."""
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", ""):
        assert httpx.get(f"{address}/api/info", headers={"host": host}).status_code in (400, 421)
    for host in ("localhost", "127.0.0.1:9", "[::1]:8000", "LOCALHOST"):
        assert httpx.get(f"{address}/api/info", headers={"host": host}).status_code == 200
    site = {"sec-fetch-site": "cross-site"}
    assert httpx.get(f"{address}/api/info", headers=site).status_code == 403
    assert httpx.get(address, headers=site).status_code == 200  # a link
    assert "access-control-allow-origin" not in httpx.get(f"{address}/api/info").headers
