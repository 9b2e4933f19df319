"""How fast does the search service answer one user, and a hundred at once?

    python benchmarks/serve.py photos.idx --data flickr8k:FOLDER --clients 100 --seconds 60

The service is a process of its own; its users are in this one, on the same cores, and send captions
of the data as sentences, one after the other. The time of an answer is what a user waits for all of
it: parsing, encoding, search and the way through the socket. On a machine with other work the time
that the service computes says more of it.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from bench import device_name, save_json

from pyg_sgm.datasets import open_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", help="an index that was built")
    parser.add_argument("--data", required=True, help="whose captions are asked")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--alone", type=int, default=300, help="searches of one user")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    captions = open_dataset(args.data, args.split).captions
    start = time.perf_counter()
    command = [sys.executable, "-m", "pyg_sgm", "serve", args.index, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout is not None
            line = service.stdout.readline()
            address = urlsplit(next(word for word in line.split() if word.startswith("http")))
            place = (address.hostname, address.port)
            first = asyncio.run(users(place, captions[:1], 1, count=1))
            cold = time.perf_counter() - start
            before = processor_seconds(service.pid)
            alone = asyncio.run(users(place, captions[1:], 1, count=args.alone))
            alone["processor_seconds_of_an_answer"] = (
                processor_seconds(service.pid) - before
            ) / alone["answers"]
            crowd = asyncio.run(users(place, captions, args.clients, seconds=args.seconds))
        finally:
            service.terminate()
    assert first["errors"] == {}
    report = {
        "device": device_name("cpu"),
        "images": int(line.split()[0].replace(",", "")),
        "seconds_from_start_to_first_answer": cold,
        "alone": alone,
        "crowd": {"clients": args.clients, **crowd},
    }
    save_json(args.out, "serve", report)
    print(json.dumps(report, indent=2))


def processor_seconds(process: int) -> float:
    """What a process has computed until now (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def users(
    place: tuple[str, int], captions: list[str], number: int, *, count: int = 0, seconds: float = 0
) -> dict:
    """Times of the answers to some users, each of whom asks ``count`` times, or for ``seconds``."""
    waited: list[float] = []
    errors: Counter[str] = Counter()
    start = time.perf_counter()

    async def ask(first: int) -> None:
        reader, writer = await asyncio.open_connection(*place)
        at = first
        while at - first < count if count else time.perf_counter() - start < seconds:
            body = json.dumps({"text": captions[at % len(captions)], "k": 24}).encode()
            head = (
                f"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            )
            asked = time.perf_counter()
            writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
            try:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
                length = next(line for line in lines if line.startswith("content-length:"))
                await reader.readexactly(int(length.split(":")[1]))
            except (asyncio.IncompleteReadError, OSError):
                errors["broken off"] += 1
                reader, writer = await asyncio.open_connection(*place)
            else:
                if lines[0].split()[1] == "200":
                    waited.append(time.perf_counter() - asked)
                else:
                    errors[lines[0].split()[1]] += 1
            at += 1
        writer.close()

    step = len(captions) // number
    await asyncio.gather(*(ask(step * user) for user in range(number)))
    took = time.perf_counter() - start
    waited.sort()
    at = {"median": 0.5, "p95": 0.95, "p99": 0.99, "most": 1}
    times = {
        name: waited[min(int(len(waited) * part), len(waited) - 1)] for name, part in at.items()
    }
    return {
        "answers": len(waited), "errors": dict(errors), "seconds": took,
        "answers_per_second": len(waited) / took, "wait_in_seconds": times,
    }  # fmt: skip


if __name__ == "__main__":
    main()
