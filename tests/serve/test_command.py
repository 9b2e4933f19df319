"""``pyg-sgm serve`` as a process."""

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("lancedb")
pytest.importorskip("httpx")

import httpx

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.cli import main
from pyg_sgm.index import SceneGraphIndex
from tests.helpers.training import world


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("served")
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=6)
    matcher.fit(world(), epochs=1, progress=False, out=folder / "run")
    made = SceneGraphIndex.create(folder / "world.idx", matcher, run=folder / "run")
    made.add(world())
    return str(folder / "world.idx")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_until_it_is_stopped(index: str, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "pyg_sgm", "serve", index, "--port", "0"]
    with subprocess.Popen(
        [*command, "--token", "open sesame"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line.startswith("12 photos at http://127.0.0.1:"), process.stderr.read()
        address = next(word for word in line.split() if word.startswith("http"))
        with httpx.Client(timeout=60, follow_redirects=True) as client:
            assert client.get(address).status_code == 200  # the token is in it
            base = address.split("?")[0]
            found = client.post(f"{base}api/search", json={"text": "a dog"}).json()
            assert len(found["hits"]) == 12
            assert not any(hit["has_photo"] for hit in found["hits"])
            assert client.get(f"{base}api/photo", params={"id": "0"}).status_code == 404
            # What was begun is finished.
            parts = urlsplit(address)
            body = b'{"text": "a cat"}'
            head = (
                "POST /api/search HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                "Authorization: Bearer open sesame\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            with socket.create_connection((parts.hostname, parts.port), timeout=30) as sock:
                sock.sendall(head.encode() + body[:5])
                process.send_signal(number)
                threading.Event().wait(0.5)
                sock.sendall(body[5:])
                answer = b"".join(iter(lambda: sock.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 200")
        assert process.wait(30) == 128 + number
        assert process.stderr.read() == "pyg-sgm: stopped\n"


def fails(capsys: pytest.CaptureFixture[str], *tokens: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(tokens)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_mistakes(index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no such index" in fails(capsys, "serve", str(tmp_path / "x"), "--port", "0")
    assert "--token: is empty" in fails(capsys, "serve", index, "--token", "")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1 port {port}: Address already" in fails(
            capsys, "serve", index, "--port", port
        )
    assert "cannot listen at" in fails(capsys, "serve", index, "--host", "not a host")
    assert "cannot listen at" in fails(capsys, "serve", index, "--port", "99999")
