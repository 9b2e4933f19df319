"""An index in shards on a cluster of which parts are killed: the answers of one process."""

import os
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lancedb")

from pyg_sgm.distributed import RayKeepers, ray_keepers
from pyg_sgm.distributed.ray_pool import open_ray
from pyg_sgm.index import SceneGraphIndex, adding
from tests.helpers.cluster import ACTORS, add_node, killing, parent, processes
from tests.helpers.indexes import small_matcher
from tests.helpers.keepers import Words, keep_busy
from tests.helpers.training import world

ray = pytest.importorskip("ray", reason="ray is not installed")
pytestmark = pytest.mark.slow
DATA = world(num_images=48)
QUERIES = [*DATA.texts[:3], DATA.images[5]]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> SceneGraphIndex:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adding, "CHUNK", 8)
        index = SceneGraphIndex.create(tmp_path_factory.mktemp("one") / "a.idx", small_matcher())
        index.add(DATA)
    return index


@pytest.fixture(scope="module")
def many(nodes: Any, tmp_path_factory: pytest.TempPathFactory) -> SceneGraphIndex:
    """Built and searched by the cluster, while its workers are killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adding, "CHUNK", 8)
        index = SceneGraphIndex.create(
            tmp_path_factory.mktemp("many") / "a.idx", small_matcher(), shards=3, ray=nodes.address
        )
        with killing(times=2, every=1.5) as killed:
            index.add(DATA)
    assert killed
    return index


def answers(index: SceneGraphIndex, k: int = 5) -> list[dict[str, Any]]:
    return [{**one.to_dict(), "num_scored": 0} for one in index.search_many(QUERIES, k)]


def test_the_same_answers(one: SceneGraphIndex, many: SceneGraphIndex) -> None:
    assert many.ids == one.ids
    assert many.verify() == []
    for k in (1, 5, 60):
        assert answers(many, k) == answers(one, k)
    assert many.rerank(QUERIES[0], one.ids[:9]) == one.rerank(QUERIES[0], one.ids[:9])


def test_the_same_answers_while_actors_are_killed(
    one: SceneGraphIndex, many: SceneGraphIndex
) -> None:
    expected = answers(one)
    with killing(times=2, every=1.0, what=ACTORS) as killed:
        while len(killed) < 2:
            assert answers(many) == expected
    assert answers(many) == expected


def test_a_node_with_actors_goes(nodes: Any) -> None:
    # Two tasks take the cores that there are, so that actors can be on the new node alone.
    ray = open_ray(nodes.address)
    busy = [ray.remote(num_cpus=1)(keep_busy).remote() for _ in range(2)]
    while ray.available_resources().get("CPU", 0) > 0:
        time.sleep(0.1)
    extra = add_node(nodes, cores=2)
    nodes.wait_for_nodes()
    (raylet,) = extra.all_processes["raylet"]

    def there() -> set[int]:
        return {pid for pid in processes(ACTORS) if parent(pid) == raylet.process.pid}

    words = ["a", "b", "c", "d"]
    keepers = RayKeepers(nodes.address, words, Words, words)
    asked = {0: "a?", 1: "b?", 2: "c?", 3: "d?"}
    assert dict(keepers.ask(range(4), lambda part: "?")) == asked
    assert len(there()) == 4
    for one in busy:
        ray.cancel(one, force=True)
    nodes.remove_node(extra, allow_graceful=False)
    assert dict(keepers.ask(range(4), lambda part: "?")) == asked
    assert not there()


def test_an_object_store_that_is_full(one: SceneGraphIndex, many: SceneGraphIndex) -> None:
    held = [ray.put(np.ones(30 * 2**20, np.uint8)) for _ in range(5)]  # of 100 MiB
    assert answers(many) == answers(one)
    assert len(held) == 5


def test_a_slow_node(one: SceneGraphIndex, many: SceneGraphIndex) -> None:
    answers(many)
    (slow, *_) = processes(ACTORS)
    os.kill(slow, signal.SIGSTOP)
    threading.Timer(2.0, os.kill, (slow, signal.SIGCONT)).start()
    start = time.monotonic()
    assert answers(many) == answers(one)
    assert time.monotonic() - start > 1.5


def test_a_change_is_seen(one: SceneGraphIndex, many: SceneGraphIndex) -> None:
    gone = one.search(QUERIES[0], k=1).hits[0].id
    other = SceneGraphIndex.open(many.uri, many.matcher)  # of this process
    for index in (one, other):
        index.remove([gone])
    assert answers(many) == answers(one)
    assert gone not in many


def test_the_service(one: SceneGraphIndex, many: SceneGraphIndex) -> None:
    for package in ("fastapi", "uvicorn", "httpx", "PIL"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    import httpx

    from tests.helpers.service import running

    expected = [(hit.id, hit.score) for hit in one.search("a dog chasing a cat", 4).hits]
    with running(many) as address, httpx.Client(base_url=address, timeout=120) as client:

        def found() -> list[tuple[str, float]]:
            asked = {"text": "a dog chasing a cat", "k": 4}
            answer = client.post("/api/search", json=asked).raise_for_status().json()
            return [(hit["id"], hit["score"]) for hit in answer["hits"]]

        with killing(times=1, every=0.5, what=ACTORS) as killed:
            while not killed:
                assert found() == expected
        assert found() == expected
        assert client.get("/api/info").json()["num_images"] == len(one)


def test_who_does_not_answer_is_named(nodes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_keepers, "RETRIES", 0)
    keepers = RayKeepers(nodes.address, ["first", "second"], Words, ["a", "b"])
    assert sorted(keepers.ask([0, 1], lambda part: "!")) == [(0, "a!"), (1, "b!")]
    with pytest.raises(ValueError, match=r"^no error of b$"):
        list(keepers.ask([1], lambda part: "error"))
    with monkeypatch.context() as patch:
        patch.setattr(ray_keepers, "AGAIN", 0.0)
        with pytest.raises(RuntimeError, match=r"^second: no answer from its keeper"):
            list(keepers.ask([0, 1], lambda part: "nothing" if part else "!"))
    assert dict(keepers.ask([0, 1], lambda part: "?")) == {0: "a?", 1: "b?"}
    monkeypatch.setattr(ray_keepers, "PATIENCE", 1.0)
    with pytest.raises(RuntimeError, match="no answer within 1 seconds from first"):
        list(keepers.ask([0], lambda part: "late"))
