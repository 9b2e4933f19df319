"""Readers with small files that are right, and what must hold of whatever a reader accepts."""

import base64
import csv
import gzip
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pyg_sgm.data import (
    GraphCollection,
    Vocabularies,
    image_record,
    pack_images,
    read_word_vectors,
    text_record,
    validate,
)
from pyg_sgm.datasets import SceneGraphDataset, convert_joblib, open_dataset
from pyg_sgm.models import GraphSizes
from pyg_sgm.models.serialization import SavedModel, build_model, load_model, save_model
from pyg_sgm.text import parse_texts
from pyg_sgm.training.run_dir import read_run
from pyg_sgm.vision import open_detector, open_graphs, to_photo
from pyg_sgm.vision._shards import Graph, write_shard
from pyg_sgm.vision.store import make_folder
from tests.helpers.graphs import VOCABULARIES, images, texts


@dataclass(frozen=True)
class Target:
    """A reader.

    Args:
        write: Writes files that are right into a folder.
        open: Reads the folder, all of it; the flag asks for the first mistake.
        fixed: Endings of files that are not mutated.
    """

    write: Callable[[Path], None]
    open: Callable[[Path, bool], None]
    fixed: tuple[str, ...] = (".jpg",)


def dataset(spec: str, split: str = "train") -> Callable[[Path, bool], None]:
    """Opens ``open_dataset(spec)`` with ``{}`` for the folder, and reads everything of it."""

    def read(folder: Path, strict: bool) -> None:
        data = open_dataset(spec.replace("{}", str(folder)), split, strict=strict)
        for record in data.skipped:
            assert str(folder) in record.reason, f"unnamed: {record}"
        check(data)

    return read


def check(data: SceneGraphDataset) -> None:
    """Raises an AssertionError if what a reader gave is not consistent in itself."""
    assert data.num_images > 0
    vocabularies = data.vocabularies()
    pairs = data.encode(vocabularies)
    for graphs in (pairs.images, pairs.texts):
        for i in range(len(graphs)):
            validate(graphs[i], vocabularies)
    for image in data.images:
        assert image.id.strip(), "an image without an id"
        assert image.file is None or ".." not in image.file.parts, "a path that leads out"
        assert all(label.strip() for label in image.objects), "an empty label"
    assert all(text.caption.strip() for text in data.texts), "an empty caption"


def _json(folder: Path, name: str, value: object) -> None:
    (folder / name).write_text(json.dumps(value))


def _gz(folder: Path, name: str, value: object) -> None:
    (folder / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps(value).encode()))


def _photos(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        Image.new("RGB", (40, 30)).save(folder / name)


def _table(folder: Path, name: str, *rows: tuple[str, ...]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    (folder / name).write_text(text.getvalue())


def _b64(values: Any, kind: str) -> str:
    return base64.b64encode(np.asarray(values, kind).tobytes()).decode()


def flickr30k(folder: Path) -> None:
    entry = {
        "labels": ["man", "dog"],
        "bbox": [[0.0, 10.0, 50.0, 100.0], [20, 0, 200, 80]],
        "rels": [["man:0", "near", "dog:1"]],
    }
    _gz(
        folder,
        "flickr30k_val_lowered_images_data",
        {"1.jpg": entry, "2.jpg": entry, "3.jpg": entry},
    )
    texts = {
        f"{i}{k}": {"sent": "A man holds a dog.", "rels": [["man", "hold", "dog"]]}
        for i in (1, 2, 3)
        for k in (0, 1)
    }
    _gz(folder, "flickr30k_val_lowered_caps_data", texts)
    _gz(folder, "caption_image_matching_flickr_val", {key: f"{key[0]}.jpg" for key in texts})
    _json(folder, "VG-SGG-dicts-with-attri.json", {"attribute_to_idx": {"red": 1}})
    for node, rows in (("objects", 2), ("predicates", 1)):
        (folder / node).mkdir()
        for i in (1, 2, 3):
            np.save(folder / node / f"{i}.npy", np.ones((rows, 4), np.float32))


def precomputed(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(folder / "dev_ims.npy", rng.random((3, 2, 4), np.float32))
    (folder / "dev_caps.txt").write_text("".join(f"a dog {i}\n" for i in range(15)))
    (folder / "dev_ids.txt").write_text("7\n8\n9\n")
    np.save(folder / "dev_ims_bbx.npy", np.tile(np.float32([1, 2, 30, 20]), (3, 2, 1)))
    sizes = np.array([{"image_w": 40, "image_h": np.int64(30)}] * 3, dtype=object)
    np.save(folder / "dev_ims_size.npy", sizes, allow_pickle=True)


def karpathy(folder: Path) -> None:
    entries = [
        {
            "filename": f"{i}.jpg",
            "filepath": "val2014",
            "split": "val",
            "sentences": [
                {"raw": "A dog.", "tokens": ["a", "dog"], "sentid": 2 * i + k} for k in (0, 1)
            ],
        }
        for i in range(3)
    ]
    _json(folder, "dataset.json", {"images": entries, "dataset": "coco"})
    _photos(folder, *(f"val2014/{i}.jpg" for i in range(3)))
    for i in range(3):
        np.save(folder / f"{i}.npy", np.ones((2, 4), np.float32))


def bottom_up(folder: Path) -> None:
    boxes, x = [[0, 0, 20, 20], [5, 5, 40, 30]], np.random.default_rng(0).random((2, 6))
    rows = [
        "\t".join([str(i), "40", "30", "2", _b64(boxes, "<f4"), _b64(x, "<f4")]) for i in range(3)
    ]
    (folder / "train.tsv").write_text("\n".join(rows) + "\n")


def bottom_up_labels(folder: Path) -> None:
    boxes, x = [[0, 0, 20, 20], [5, 5, 40, 30]], np.random.default_rng(0).random((2, 6))
    numbers = [
        _b64([1, 0], "<i8"),
        _b64([0.5, 0.2], "<f4"),
        _b64([0, 1], "<i8"),
        _b64([1, 1], "<f4"),
    ]
    rows = [
        "\t".join([str(i), "30", "40", *numbers, "2", _b64(boxes, "<f4"), _b64(x, "<f4")])
        for i in range(3)
    ]
    (folder / "train.tsv").write_text("\n".join(rows) + "\n")
    (folder / "objects_vocab.txt").write_text("man\nhorse,pony\n")
    (folder / "attributes_vocab.txt").write_text("red\nbig\n")
    _table(folder, "c.csv", ("image", "caption"), ("0", "a dog"), ("1", "a cat, asleep"))


def benchmark(folder: Path) -> None:
    info = {
        "idx_to_files": ["/far/1.jpg", "/far/2.jpg"],
        "ind_to_classes": ["__background__", "man", "horse"],
        "ind_to_predicates": ["__background__", "riding"],
    }
    entry = {
        "bbox": [[0, 0, 400, 300], [100, 100, 700, 500]],
        "bbox_labels": [1, 2],
        "bbox_scores": [0.9, 0.8],
        "rel_pairs": [[0, 1], [1, 0]],
        "rel_labels": [1, 0],
        "rel_scores": [0.9, 0.7],
        "rel_all_scores": [[0.1, 0.9], [0.7, 0.3]],
    }
    _json(folder, "custom_data_info.json", info)
    _json(folder, "custom_prediction.json", {"0": entry, "1": entry})
    _photos(folder, "1.jpg", "2.jpg")


def visual_genome(folder: Path) -> None:
    things = [
        {"object_id": i, "x": 1, "y": 2, "w": 30, "h": 20, "names": ["man"], "synsets": []}
        for i in (1, 2)
    ]
    relation = {"relationship_id": 1, "predicate": "near", "subject_id": 1, "object_id": 2}
    graphs = [{"image_id": i, "objects": things, "relationships": [relation]} for i in (7, 8, 9)]
    _json(folder, "scene_graphs.json", graphs)
    described = [{**thing, "attributes": ["red", "Big"]} for thing in things]
    _json(folder, "attributes.json", [{"image_id": i, "attributes": described} for i in (7, 8)])
    _json(folder, "image_data.json", [{"image_id": 7, "width": 40, "height": 30}])


def psg(folder: Path) -> None:
    entries = [
        {
            "image_id": str(i),
            "file_name": f"val2017/{i}.jpg",
            "height": 30,
            "width": 40,
            "annotations": [
                {"bbox": [0, 0, 20, 20], "bbox_mode": 0, "category_id": 0},
                {"bbox": [5, 5, 30, 20], "bbox_mode": 1, "category_id": 1},
            ],
            "segments_info": [],
            "relations": [[0, 1, 0]],
        }
        for i in range(3)
    ]
    content = {
        "data": entries,
        "thing_classes": ["person"],
        "stuff_classes": ["grass"],
        "predicate_classes": ["on"],
        "test_image_ids": ["9"],
    }
    _json(folder, "psg.json", content)
    _photos(folder, "0.jpg", "1.jpg", "val2017/2.jpg")


def factual(folder: Path) -> None:
    rows = [
        (str(i), "0", "a dog, on grass", "( dog , on , grass ) , ( dog , is , brown ) , ( dog )")
        for i in range(4)
    ]
    _table(folder, "dev.csv", ("image_id", "region_id", "caption", "scene_graph"), *rows)


def folder_of_photos(folder: Path) -> None:
    _photos(folder, *(f"p/{i}.jpg" for i in range(3)))
    _table(folder, "c.csv", ("image", "caption"), *((f"{i}.jpg", f"a dog {i}") for i in range(3)))


def coco(folder: Path) -> None:
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 40} for i in range(3)],
        "annotations": [{"id": i, "image_id": i % 3, "caption": "a dog\n"} for i in range(6)],
    }
    _json(folder, "captions.json", content)


def token(folder: Path) -> None:
    (folder / "c.token").write_text("".join(f"{i}.jpg#{k}\ta dog .\n" for i in "123" for k in "01"))


def results(folder: Path) -> None:
    lines = [f"{i}.jpg| {k}| a dog .\n" for i in "123" for k in "01"]
    (folder / "results.csv").write_text("image_name| comment_number| comment\n" + "".join(lines))


def flickr8k(folder: Path) -> None:
    _photos(folder, *(f"images/{i}.jpg" for i in "123"))
    rows = [(f"{i}.jpg", f"a dog {k}") for i in "123" for k in "01"]
    _table(folder, "captions.csv", ("image", "caption"), *rows)
    (folder / "dev.txt").write_text("1.jpg\n2.jpg\n3.jpg\n")


def vectors(folder: Path) -> None:
    (folder / "v.txt").write_text("3 2\ndog 1 2\ncat 0.5 -1e-1\nin. of 1 1\n")
    (folder / "v.txt.gz").write_bytes(gzip.compress(b"dog 1 2\ncat 0.5 -1e-1\n"))


def read_vectors(folder: Path, strict: bool) -> None:
    for name in ("v.txt", "v.txt.gz"):
        words, table = read_word_vectors(folder / name)
        assert len(words) == len(table) > 0
        assert torch.isfinite(table).all()


def collection(folder: Path) -> None:
    GraphCollection.from_graphs(images()).save(folder / "images.safetensors")
    GraphCollection.from_graphs(texts()).save(folder / "texts.safetensors")


def read_collection(folder: Path, strict: bool) -> None:
    for name in ("images", "texts"):
        graphs = GraphCollection.load(folder / f"{name}.safetensors")
        for i in range(len(graphs)):
            validate(graphs[i])


def read_vocabularies(folder: Path, strict: bool) -> None:
    for words in vars(Vocabularies.load(folder)).values():
        "".join(words.words).encode()


def graph_folder(folder: Path) -> None:
    make_folder(folder, lambda: {"key": {"detector": "x"}, "options": None, "dim": 4})
    record = image_record(
        ["dog", "cat"],
        [[0, 0, 0.5, 0.5], [0.1, 0.2, 0.9, 1]],
        [(0, "near", 1)],
        [(1, "black")],
        scores={"object": [0.5, 0.25], "relation": [1.0], "attribute": [0.5]},
    )
    features = {"object": np.ones((2, 4)), "relation": np.ones((1, 4))}
    graphs = [Graph(replace(record, id=f"{i}.jpg"), (40, 30), features) for i in range(3)]
    write_shard(folder / "000000.json", graphs, [(1, 2)] * 3)
    (folder / "skipped.jsonl").write_text('{"image": "x.jpg", "reason": "no image"}\n')


def read_graph_folder(folder: Path, strict: bool) -> None:
    records, features = open_graphs(folder)
    graphs = pack_images(records, VOCABULARIES, features)
    for i in range(len(graphs)):
        validate(graphs[i], VOCABULARIES)


PARSED = [text_record(f"a {colour} dog on the grass", id=colour) for colour in ("red", "black")]


def parses(folder: Path) -> None:
    parse_texts(PARSED, folder / "parses.jsonl")


def read_parses(folder: Path, strict: bool) -> None:
    from pyg_sgm.text.cache import _read

    for parsed in _read(folder / "parses.jsonl", "learned").values():
        record = parsed.to_record()
        text_record(
            list(record.words) or "",
            record.objects,
            record.attributes,
            record.relations,
            record.spans,
        )


def detections(folder: Path) -> None:
    row = {"image": "1.jpg", "boxes": [[0, 0, 20, 20], [1, 1, 9, 9]], "labels": ["dog", "cat"]}
    rows = [row, {**row, "image": "2.jpg", "scores": [0.5, 1]}, {**row, "image": "3.jpg"}]
    (folder / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def read_detections(folder: Path, strict: bool) -> None:
    photos = [to_photo(np.zeros((30, 40, 3), np.uint8), id=f"{i}.jpg") for i in (1, 2, 3)]
    for found in open_detector(f"file:{folder / 'd.jsonl'}")(photos):
        assert np.isfinite(found.boxes).all()
        assert ((found.boxes >= 0) & (found.boxes <= 1)).all()
        assert ((found.scores >= 0) & (found.scores <= 1)).all()
        assert len(found.labels) == len(found.boxes) == len(found.scores)


def model(folder: Path) -> None:
    net = build_model("vse", GraphSizes.of(VOCABULARIES), {"dim": 8, "embed": 4}, 0)
    save_model(folder, SavedModel("vse", net, VOCABULARIES, None))


def read_model(folder: Path, strict: bool) -> None:
    saved = load_model(folder)
    for weight in saved.model.state_dict().values():
        assert torch.isfinite(weight).all()


def joblib(folder: Path) -> None:
    content = {"1.jpg": {"labels": ["man"], "bbox": [[0.5, np.float64(1), 2, 3]], "rels": []}}
    (folder / "a.joblib").write_bytes(pickle.dumps(content))


def read_joblib(folder: Path, strict: bool) -> None:
    convert_joblib(folder / "a.joblib", folder / "a.json")
    (folder / "a.json").unlink()


def run(folder: Path) -> None:
    _json(folder, "run.json", {"model": "sgm", "recipe": {"epochs": 2}})


def read_run_json(folder: Path, strict: bool) -> None:
    assert isinstance(read_run(folder), dict)


TARGETS: dict[str, Target] = {
    "flickr30k-sgm": Target(flickr30k, dataset("flickr30k-sgm:{},features={}", "val")),
    "precomputed-regions": Target(precomputed, dataset("precomputed-regions:{}", "dev")),
    "karpathy": Target(karpathy, dataset("karpathy:{}/dataset.json,images={},features={}", "val")),
    "bottom-up": Target(bottom_up, dataset("bottom-up:{}/train.tsv")),
    "bottom-up, labels": Target(
        bottom_up_labels, dataset("bottom-up:{}/train.tsv,captions={}/c.csv")
    ),
    "scene-graph-benchmark": Target(
        benchmark, dataset("scene-graph-benchmark:{},images={}"), fixed=()
    ),
    "visual-genome": Target(visual_genome, dataset("visual-genome:{}")),
    "openpsg": Target(psg, dataset("openpsg:{}/psg.json,images={}"), fixed=()),
    "factual": Target(factual, dataset("factual:{}/dev.csv")),
    "images": Target(folder_of_photos, dataset("images:{}/p,captions={}/c.csv")),
    "coco": Target(coco, dataset("coco:{}/captions.json")),
    "token": Target(token, dataset("captions:{}/c.token")),
    "results.csv": Target(results, dataset("captions:{}/results.csv")),
    "flickr8k": Target(flickr8k, dataset("flickr8k:{}", "dev")),
    "word vectors": Target(vectors, read_vectors),
    "vocabularies": Target(VOCABULARIES.save, read_vocabularies),
    "graph collection": Target(collection, read_collection),
    "graph folder": Target(graph_folder, read_graph_folder),
    "parses": Target(parses, read_parses),
    "detections": Target(detections, read_detections),
    "saved model": Target(model, read_model),
    "joblib": Target(joblib, read_joblib),
    "run.json": Target(run, read_run_json),
}
