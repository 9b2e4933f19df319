import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("lancedb")

import httpx  # noqa: E402

from pyg_sgm.index import SceneGraphIndex  # noqa: E402
from pyg_sgm.index.rows import to_text  # noqa: E402
from tests.helpers.service import EVIL, FOREIGN, SIZE, Finder, photo_index, running  # noqa: E402

SENTENCE = "a red ball on a blue box"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> SceneGraphIndex:
    return photo_index(tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def client(index: SceneGraphIndex) -> Iterator[httpx.Client]:
    with running(index) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def search(client: httpx.Client, **asked: object) -> dict:
    response = client.post("/api/search", json=asked)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_sentence_finds_what_the_index_finds(
    client: httpx.Client, index: SceneGraphIndex
) -> None:
    found, expected = search(client, text=SENTENCE, k=5), index.search(SENTENCE, 5)
    assert [hit["id"] for hit in found["hits"]] == [to_text(hit.id) for hit in expected.hits]
    for hit, own in zip(found["hits"], expected.hits, strict=True):
        assert hit["rank"] == own.rank
        assert hit["score"] == pytest.approx(own.score, abs=1e-5)
        assert hit["levels"] == pytest.approx(own.levels, abs=1e-5)
        taken = own.metadata["taken"].isoformat()
        assert hit["metadata"] == {**own.metadata, "taken": taken}
        assert "path" not in hit
    assert found["certified"] == expected.certified
    assert found["num_images"] == 12
    assert found["query"]["texts"][0]["relations"] == [[0, "on", 1]]


def test_a_query_asked_again_is_the_same(client: httpx.Client) -> None:
    read = client.post("/api/parse", json={"text": f"{SENTENCE} without a hat"}).json()["query"]
    assert [text["caption"] for text in read["exclude"]] == ["hat"]
    once = search(client, text=f"{SENTENCE} without a hat")
    again = search(client, query=read)
    assert again["query"] == once["query"] == read
    assert [hit["id"] for hit in again["hits"]] == [hit["id"] for hit in once["hits"]]


def test_a_photo_finds_others(client: httpx.Client) -> None:
    found = search(client, like="3.png")
    assert found["query"] is None
    assert len(found["hits"]) == 11
    assert "3.png" not in [hit["id"] for hit in found["hits"]]


def test_a_photo_that_is_sent_finds_itself(client: httpx.Client, index: SceneGraphIndex) -> None:
    record = index.record("3.png")
    assert record.file is not None
    answer = client.post("/api/similar?k=12", content=record.file.read_bytes())
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["hits"]) == 12
    assert answer.json()["hits"][0]["id"] == "3.png"
    filters = json.dumps([{"field": "year", "op": "<", "value": 2023}])
    answer = client.post("/api/similar", params={"filters": filters}, content=_png(SIZE))
    assert answer.json()["num_images"] == 3
    assert client.post("/api/similar?filters=[1", content=_png(SIZE)).status_code == 400


def test_who_runs_it_is_told_why_it_takes_no_photos(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def closed(finder: Finder, photos: object) -> None:
        raise ValueError("/secret: the detector is to be given by --detector")

    monkeypatch.setattr(Finder, "__call__", closed)
    answer = client.post("/api/similar", content=_png(SIZE))
    assert answer.status_code == 400
    assert answer.json()["error"] == "this service takes no photos; its log says why"
    assert "given by --detector" in caplog.text


def test_filters_and_threshold(client: httpx.Client) -> None:
    def count(field: str, op: str, value: object) -> int:
        return search(client, text="ball", filters=[{"field": field, "op": op, "value": value}])[
            "num_images"
        ]

    assert count("year", ">=", 2030) == 2
    assert count("note", "=", "<b>bold</b>") == 12
    assert count("note", "contains", "BOLD") == 12
    assert count("note", "contains", "%") == 0
    assert count("kept", "=", True) == 6
    assert count("taken", "=", "2024-05-01") == 1
    assert count("taken", ">=", "2024-05-10") == 3
    filters = [{"field": "taken", "op": "=", "value": "May"}]
    answer = client.post("/api/search", json={"text": "ball", "filters": filters})
    assert answer.status_code == 400
    assert "taken =: expected a day such as 2024-05-31, got 'May'" in answer.text
    best = search(client, text="ball")["hits"]
    middle = (best[4]["score"] + best[5]["score"]) / 2
    assert len(search(client, text="ball", threshold=middle)["hits"]) == 5


def test_editing_a_graph(client: httpx.Client) -> None:
    query = search(client, text=SENTENCE)["query"]

    def edit(query: dict, **change: object) -> dict:
        response = client.post("/api/edit", json={"query": query, "edit": change})
        assert response.status_code == 200, response.text
        return response.json()["query"]

    swapped = edit(query, do="swap", index=0)["texts"][0]
    assert swapped["caption"] == "a blue box on a red ball"
    named = edit(query, do="rename", kind="object", index=1, phrase="table")
    assert named["texts"][0]["caption"] == "a red ball on a blue table"
    without = edit(query, do="exclude", kind="object", index=1)
    assert without["texts"][0]["objects"] == ["ball"]
    assert [text["objects"] for text in without["exclude"]] == [["box"]]
    assert "exclude" not in edit(without, do="allow", index=0)
    more = edit(query, do="add_object", phrase="dog")
    more = edit(more, do="add_attribute", index=2, phrase="small")
    more = edit(more, do="add_relation", index=2, phrase="near", target=0)["texts"][0]
    assert more["attributes"][-1] == [2, "small"]
    assert more["relations"] == [[0, "on", 1], [2, "near", 0]]
    assert search(client, query={"texts": [more]})["hits"]
    weights = {"lie": 2.0, "lying": 2.0, "ball": 3.0}
    lying = client.post("/api/parse", json={"text": "a ball lying on a box"}).json()["query"]
    assert "weights" not in edit({**lying, "weights": weights}, do="remove", kind="object", index=0)
    assert edit({**lying, "weights": weights}, do="add_object", phrase="dog")["weights"] == weights
    assert search(client, query=edit({"exclude": ["hat"]}, do="add_object", phrase="ball"))["hits"]


@pytest.mark.parametrize(
    "change",
    [
        {"do": "swap", "index": 7},
        {"do": "rename", "kind": "object", "index": 0},
        {"do": "rename", "kind": "object", "index": 0, "phrase": "!?"},
        {"do": "remove", "kind": "attribute", "index": 9},
        {"do": "add_relation", "index": 0, "phrase": "on", "target": 5},
        {"do": "allow", "index": 0},
        {"do": "remove", "kind": "object", "index": 0},  # leaves nothing to search for
    ],
)
def test_an_edit_that_cannot_be(client: httpx.Client, change: dict) -> None:
    query = {"texts": [{"caption": "ball", "objects": ["ball"]}]}
    answer = client.post("/api/edit", json={"query": query, "edit": change})
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_an_explanation_has_both_graphs(client: httpx.Client) -> None:
    query = search(client, text=SENTENCE)["query"]
    told = client.post("/api/explain", json={"id": "0.png", "query": query}).json()
    assert told["kind"] == "matches"
    assert told["score"] == pytest.approx(sum(told["levels"].values()))
    assert told["text"]["words"] == SENTENCE.split()
    assert told["image"]["objects"][-2:] == ["ball", "box"]
    assert len(told["image"]["boxes"]) == len(told["image"]["objects"])
    assert told["image"]["size"] == list(SIZE)
    assert {match["text_kind"] for match in told["matches"]} == {"word", "triplet"}
    record = client.get("/api/record", params={"id": "0.png"}).json()
    assert record == told["image"]
    textless = client.post("/api/explain", json={"id": "0.png", "query": {"exclude": ["hat"]}})
    assert textless.status_code == 400
    assert "no text to explain" in textless.json()["error"]


def test_a_model_without_bounds_proves_nothing_and_explains_by_attention(tmp_path: Path) -> None:
    index = photo_index(tmp_path, "hoad", {"dim": 8, "hidden": 8, "embed": 6})
    with running(index) as address, httpx.Client(base_url=address, timeout=60) as client:
        found = search(client, text=SENTENCE, k=3)
        assert not found["certified"]
        assert (found["num_scored"], found["num_images"], len(found["hits"])) == (12, 12, 3)
        asked = {"id": found["hits"][0]["id"], "query": found["query"]}
        told = client.post("/api/explain", json=asked).json()
    assert told["kind"] == "attention"
    assert told["score"] == pytest.approx(found["hits"][0]["score"], abs=1e-4)
    assert [len(row) for row in told["weights"]] == [len(told["image_nodes"])] * len(
        told["text_nodes"]
    )


def test_photos_are_written_anew(client: httpx.Client, index: SceneGraphIndex) -> None:
    answer = client.get("/api/photo", params={"id": "0.png"})
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == SIZE
    assert client.get("/api/photo", params={"id": "0.png", "side": 320}).status_code == 200
    assert client.get("/api/photo", params={"id": "0.png", "side": 99}).status_code == 422


def test_what_a_file_tells_of_its_place_stays_there(tmp_path: Path) -> None:
    from pyg_sgm.serve.photos import Side, photo_jpeg

    exif = Image.Exif()
    exif[0x0112] = 6  # turned
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 0.0)  # latitude
    Image.new("RGB", (40, 20)).save(tmp_path / "1.jpg", exif=exif)
    shown = Image.open(io.BytesIO(photo_jpeg(tmp_path / "1.jpg", Side.LARGE)))
    assert shown.size == (20, 40)
    assert not shown.getexif()


def test_names_that_are_no_text(client: httpx.Client) -> None:
    ids = {hit["id"] for hit in search(client, text="ball")["hits"]}
    assert {EVIL, to_text(FOREIGN)} <= ids
    for id in (EVIL, to_text(FOREIGN)):
        assert client.get("/api/photo", params={"id": id}).status_code == 200
        assert client.get("/api/record", params={"id": id}).json()["id"] == id


def test_searches_at_once_answer_as_alone(client: httpx.Client) -> None:
    sentences = [f"a {color} ball on a {color} box" for color in ("red", "blue", "green")] * 8
    alone = {text: search(client, text=text)["hits"] for text in set(sentences)}
    start = threading.Barrier(len(sentences))

    def ask(text: str) -> list:
        start.wait()
        return search(client, text=text)["hits"]

    with ThreadPoolExecutor(len(sentences)) as pool:
        for text, hits in zip(sentences, pool.map(ask, sentences), strict=True):
            assert [hit["id"] for hit in hits] == [hit["id"] for hit in alone[text]]
            scores = [hit["score"] for hit in alone[text]]
            assert [hit["score"] for hit in hits] == pytest.approx(scores, abs=1e-5)


def test_health_numbers_and_description(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    told = client.get("/api/info").json()
    assert told["num_images"] == 12
    assert told["fields"] == {
        "year": "number",
        "note": "string",
        "kept": "boolean",
        "taken": "date",
    }
    search(client, text="ball")
    lines = client.get("/metrics").text.splitlines()
    assert "pyg_sgm_images 12.0" in lines
    counted = 'pyg_sgm_requests_total{path="/api/search",status="200"} '
    assert any(line.startswith(counted) and float(line.split()[-1]) > 0 for line in lines)
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/api/info", "/api/parse", "/api/edit", "/api/search", "/api/similar", "/api/explain",
        "/api/record", "/api/photo", "/health", "/metrics",
    }  # fmt: skip
    assert "http" not in json.dumps(described).replace("http_", "")


def test_a_row_that_another_process_adds_is_found(tmp_path: Path) -> None:
    own = photo_index(tmp_path)
    with running(own) as address:
        other = SceneGraphIndex.open(own.uri, own.matcher)
        assert other.remove(["0.png"]) == 1
        answer = httpx.post(f"{address}/api/search", json={"text": "ball", "k": 20}, timeout=60)
        assert answer.json()["num_images"] == 11


def _png(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, "PNG")
    return file.getvalue()
