"""Damaged, noisy and hostile versions of a file."""

import gzip
import json
import random
import re
from collections.abc import Callable
from typing import Any

WEIRD: list[Any] = [
    *(None, True, -1, 0, 1, 3, 0.5, -0.0, 1e308, 2**31, 2**63, -(2**63), 10**400),
    *(float("nan"), float("inf"), "", " ", "\n", "0", "a\ud800b", "cafe\u0301", "\ufeffdog", "\0"),
    *("../../x.jpg", "/etc/passwd", "C:\\x.jpg", "x" * 100_000, "<", "&", "dog\u2028cat"),
    *([], {}, [[]], [None], {"a": 1}, [1, 2, 3, 4], ["a", "b", "c"]),
]
TEXTS = [
    *(
        b"\xef\xbb\xbf",
        b"\xff",
        b"\x00",
        b"\x85",
        b"\r",
        b"\n\n",
        b"\xe2\x80\xa8",
        b"\t",
        b",",
        b'"',
    ),
    *(b"|", b"#", b"nan", b"inf", b"1e999", b"-1", b"9" * 30, b"900000000", b"../", b"[" * 5000),
]


def mutate(raw: bytes, rng: random.Random) -> bytes:
    """One version of a file, a gzip file or not."""
    if raw[:2] == b"\x1f\x8b":
        if rng.random() < 0.2:
            return _bytes(raw, rng)
        if rng.random() < 0.02:
            return gzip.compress(b" " * (1 << 28))  # 256 MiB in 256 KiB
        return gzip.compress(mutate(gzip.decompress(raw), rng), 1)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        raw = _choose(raw, rng)(raw, rng)
    return raw


def _choose(raw: bytes, rng: random.Random) -> Callable[[bytes, random.Random], bytes]:
    if rng.random() < 0.3:
        return _bytes
    if raw[:6] == b"\x93NUMPY":
        return _header
    if raw[:1] in (b"{", b"["):
        return _json
    if b"\0" in raw[:200]:
        return _bytes
    return _lines


def _bytes(raw: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut off, taken out, put in or twice."""
    i, j = sorted(rng.choices(range(len(raw) + 1), k=2))
    kind = rng.randrange(6)
    if kind == 0:
        return raw[:i]
    if kind == 1:
        return raw[:i] + raw[min(j, i + 40) :]
    if kind == 2:
        return raw[:i] + rng.choice(TEXTS) + raw[i:]
    if kind == 3:
        return raw[:j] + raw[i:j][:4000] + raw[j:]
    if kind == 4:
        return raw[:i] + rng.randbytes(rng.randrange(1, 9)) + raw[i:]
    changed = bytearray(raw)
    for _ in range(rng.choice((1, 4, 16))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _header(raw: bytes, rng: random.Random) -> bytes:
    """Another shape or type in the header of ``.npy``, of the same length."""
    end = raw.find(b"\n") + 1
    head = raw[10:end].decode("latin1")
    kind = rng.randrange(3)
    if kind == 0:
        shapes = ["(300000000, 0)", "(9" + "9" * 18 + ",)", "()", "(-1, 4)", "(2, 3", "(2.5, 4)"]
        head = re.sub(r"\([^)]*\)?", rng.choice(shapes), head, count=1)
    elif kind == 1:
        types = ["<f2", "<f8", ">f4", "|O", "<c16", "|b1", "<U4", "V8", "<M8[s]", "[('a', '<f4')]"]
        head = re.sub(r"'descr': [^,]*", f"'descr': '{rng.choice(types)}'", head, count=1)
    else:
        head = head.replace("False", rng.choice(["True", "None", "0", "(" * 300, "1e", "'", "=\\"]))
    body = head.rstrip().encode("latin1")
    size = max(end - 10, len(body) + 1)
    return raw[:8] + size.to_bytes(2, "little") + body.ljust(size - 1) + b"\n" + raw[end:]


def _json(raw: bytes, rng: random.Random) -> bytes:
    """A value in the tree replaced, removed, or somewhere else too."""
    try:
        tree = json.loads(raw)
    except (ValueError, RecursionError):
        return _bytes(raw, rng)
    places: list[tuple[Any, Any]] = []
    stack = [tree]
    while stack and len(places) < 3000:
        node = stack.pop()
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                stack.append(node[key])
    if not places or rng.random() < 0.02:
        return json.dumps(rng.choice(WEIRD)).encode()
    node, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind < 3:
        node[key] = rng.choice(WEIRD)
    elif kind == 3:
        del node[key]
    elif kind == 4:
        other, name = rng.choice(places)
        node[key] = other[name] if name in other or not isinstance(other, dict) else None
    elif isinstance(node, list):
        node.insert(rng.randrange(len(node) + 1), rng.choice([node[key], rng.choice(WEIRD)]))
    else:
        node[rng.choice([*node, "x", ""])] = node[key]
    try:
        return json.dumps(tree).encode()
    except (ValueError, RecursionError):  # it may contain itself now
        return b"[" * 100_000


def _lines(raw: bytes, rng: random.Random) -> bytes:
    """Lines or fields of lines changed."""
    lines = raw.split(b"\n")
    i = rng.randrange(len(lines))
    separator = next((s for s in (b"\t", b"|", b",", b" ") if s in lines[i]), b",")
    fields = lines[i].split(separator)
    j = rng.randrange(len(fields))
    kind = rng.randrange(6)
    if kind == 0:
        fields[j] = rng.choice(TEXTS)
    elif kind == 1:
        fields[j] = str(rng.choice(WEIRD)).encode("utf-8", "surrogatepass")
    elif kind == 2:
        fields.pop(j)
    elif kind == 3:
        fields.insert(j, rng.choice(fields))
    elif kind == 4:
        lines.insert(i, rng.choice(lines))
    else:
        fields[j] = _bytes(fields[j], rng)
    lines[i + (kind == 4)] = separator.join(fields)
    return b"\n".join(lines)
