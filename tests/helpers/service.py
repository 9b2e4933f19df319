"""A running service of a small index of drawn photos."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pyg_sgm.datasets import ImageFolder
from pyg_sgm.index import SceneGraphIndex
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.vision import (
    Detections,
    Extractor,
    Grid,
    Photo,
    RegionFeatures,
    RelationHead,
    join,
)

COLORS = ["red", "blue", "green", "white", "black", "brown"]
EVIL = "<img src=x onerror=alert(1)>.png"  # a name of a file, and nothing else
FOREIGN = os.fsdecode(b"caf\xe9.png")  # a name that is not UTF-8
SIZE = (160, 120)


class Finder:
    """Finds ball and box where :func:`draw_photo` draws them."""

    fingerprint = "ball and box"
    labels = ("ball", "box")

    def __call__(self, photos: Sequence[Photo]) -> list[Detections]:
        boxes = np.float32([[0.375, 0.17, 0.625, 0.5], [0.25, 0.5, 0.75, 0.92]])
        return [Detections(boxes, self.labels, np.float32([0.9, 0.8])) for _ in photos]


def draw_photo(path: Path, ball: str, box: str) -> None:
    """A ball on a box."""
    from PIL import Image, ImageDraw

    photo = Image.new("RGB", SIZE, "gray")
    draw = ImageDraw.Draw(photo)
    draw.rectangle((40, 60, 120, 110), fill=box)
    draw.ellipse((60, 20, 100, 60), fill=ball)
    photo.save(path)


SGM = {"dim": 16, "hidden": 16, "embed": 8, "global_dim": 16}


def photo_index(
    folder: Path, model: str = "sgm", options: dict[str, int] | None = None
) -> SceneGraphIndex:
    """An index of twelve photos, two of them with unlikely names, of a matcher that takes more.

    Args:
        folder (Path): Where photos and index are written.
        model (str, optional): Name of the model. (default: :obj:`"sgm"`)
        options (dict, optional): Its options. (default: :obj:`None`, those of SGM)
    """
    photos = folder / "photos"
    photos.mkdir(parents=True)
    names = [f"{number}.png" for number in range(10)] + [EVIL, FOREIGN]
    rows = []
    for number, name in enumerate(names):
        ball, box = COLORS[number % 6], COLORS[(number + number // 6 + 1) % 6]
        draw_photo(photos / name, ball, box)
        rows.append((name, f"a {ball} ball on a {box} box"))
    with (folder / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), *rows[:10]])
    torch.manual_seed(0)
    features = RegionFeatures(nn.Conv2d(3, 5, 8, stride=8), size=32)
    matcher = SceneGraphMatcher(model, **(SGM if options is None else options))
    matcher.extractor = Extractor(join(Grid(2), Finder()), features, RelationHead.load())
    with pytest.warns(UserWarning, match="without a caption"):
        known = ImageFolder(photos, folder / "captions.csv")
    matcher.fit(known, epochs=2, progress=False)
    index = SceneGraphIndex.create(folder / "photos.idx", matcher)
    whole = ImageFolder(photos)
    metadata = {
        id: {
            "year": 2020 + number,
            "note": "<b>bold</b>",
            "kept": number % 2 == 0,
            "taken": datetime(2024, 5, 1 + number, 12),
        }
        for number, id in enumerate(whole.image_ids)
    }
    index.add(whole, metadata)
    return index


@contextmanager
def running(index: SceneGraphIndex, **options: Any) -> Iterator[str]:
    """Address of a service that runs meanwhile.

    Args:
        index (SceneGraphIndex): What it searches.
        **options: Of :func:`pyg_sgm.serve.make_server`.
    """
    from pyg_sgm.serve import listen, make_server

    sock = listen(port=0)
    server = make_server(index, sock, **options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        sock.close()
        assert not thread.is_alive()
