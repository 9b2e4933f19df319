"""``pyg-sgm rerank``."""

import csv
import json
from pathlib import Path

import pytest

pytest.importorskip("cyclopts")

from pyg_sgm.cli import main
from pyg_sgm.datasets import SceneWorld, open_dataset
from pyg_sgm.retrieval import SceneGraphMatcher, prior_part
from tests.helpers.indexes import matcher_of

DATA = "scene-world:num_images=12,captions_per_image=2"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rerank") / "run"
    matcher_of(SceneWorld("train", num_images=20)).save_pretrained(folder)
    return folder


def failed(capsys: pytest.CaptureFixture[str], *tokens: object) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(token) for token in tokens])
    assert stop.value.code == 2
    return capsys.readouterr().err


def candidates(path: Path, relevant: bool = False) -> list[dict[str, object]]:
    """Five candidates of each caption, its own at different places, with scores."""
    data = open_dataset(DATA, "dev")
    rows = []
    for t, text in enumerate(data.texts):
        own = int(data.image_of_text[t])
        for place in range(5):
            image = own if place == t % 5 else (own + 1 + place) % 12
            rows.append(
                {"query": text.caption, "id": data.image_ids[image], "score": 1.0 - 0.1 * place}
            )
            if relevant:
                rows[-1]["relevant"] = int(image == own)
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return rows


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_the_order_is_that_of_the_library(run: Path, tmp_path: Path, suffix: str) -> None:
    import torch

    rows = candidates(tmp_path / f"in{suffix}")
    out = tmp_path / f"out{suffix}"
    main(["rerank", str(run), str(tmp_path / f"in{suffix}"), "--out", str(out), "--weight", "0.5",
          "--data", DATA, "--split", "dev"])  # fmt: skip
    if suffix == ".csv":
        with out.open(newline="") as file:
            found = list(csv.DictReader(file))
    else:
        found = json.loads(out.read_text())
    assert len(found) == len(rows)
    data = open_dataset(DATA, "dev")
    matcher = SceneGraphMatcher.from_pretrained(run)
    scores = matcher.score(data, data)
    for t, text in enumerate(data.texts):
        some = [row for row in rows if row["query"] == text.caption][:5]
        own = torch.stack([scores[data.image_ids.index(str(row["id"])), t] for row in some])
        total = own + prior_part(own, torch.tensor([row["score"] for row in some]), 0.5)
        order = total.argsort(descending=True).tolist()
        mine = [row for row in found if row["query"] == text.caption]
        assert [row["id"] for row in mine] == [some[i]["id"] for i in order]
        assert [int(row["previous_rank"]) for row in mine] == [i + 1 for i in order]
        assert [int(row["rank"]) for row in mine] == [1, 2, 3, 4, 5]
        assert float(mine[0]["score"]) == pytest.approx(float(total.max()), abs=1e-5)


@pytest.mark.parametrize("relevant", [True, False])
def test_fit(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], relevant: bool) -> None:
    """By a column, or by the captions of the data."""
    candidates(tmp_path / "in.csv", relevant)
    main(["rerank", str(run), str(tmp_path / "in.csv"), "--fit", "--data", DATA, "--split", "dev"])
    told = capsys.readouterr().out
    assert "24 queries" in told
    assert "as they came" in told
    assert "20.8" in told  # of 24 own images, 5 come first
    weight = float(told.split("The best weight is")[1].split()[0])
    # It is kept, and taken where none is given.
    assert SceneGraphMatcher.from_pretrained(run).prior_weight == pytest.approx(weight, rel=0.01)
    tokens = ["rerank", str(run), str(tmp_path / "in.csv"), "--data", DATA, "--split", "dev"]
    kept = SceneGraphMatcher.from_pretrained(run).prior_weight
    main([*tokens, "--out", str(tmp_path / "kept.json")])
    main([*tokens, "--out", str(tmp_path / "given.json"), "--weight", str(kept)])
    assert (tmp_path / "kept.json").read_text() == (tmp_path / "given.json").read_text()
    (run / "rerank.json").write_text(
        '{"format": "pyg_sgm rerank 1", "fingerprint": "", "weight": -1}'
    )
    with pytest.raises(ValueError, match=r"rerank\.json: weight: expected a number of at least 0"):
        SceneGraphMatcher.from_pretrained(run)
    (run / "rerank.json").unlink()


@pytest.mark.filterwarnings("default:--fit")
def test_fit_warns_of_what_was_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = str(tmp_path / "run")
    main(["train", "vse", "--data", DATA, "--epochs", "1", "--out", trained, "--dev-every", "0"])
    for split, warns in (("train", True), ("dev", False)):
        data = open_dataset(DATA, split)
        lines = [
            f"{text.caption},{id},{place}"
            for text in data.texts
            for place, id in enumerate(data.image_ids)
        ]
        (tmp_path / "in.csv").write_text("\n".join(["query,id,score", *lines]) + "\n")
        capsys.readouterr()
        main(["rerank", trained, str(tmp_path / "in.csv"), "--fit", "--split", split])
        assert ("was trained on 12 of 12 images" in capsys.readouterr().err) == warns


@pytest.mark.filterwarnings("default:1 candidate not in the index")
def test_an_index(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lancedb")
    from pyg_sgm.index import SceneGraphIndex

    uri, out = tmp_path / "world.idx", tmp_path / "out.json"
    main(["index", "build", str(uri), "--run", str(run), "--data", DATA, "--split", "dev"])
    rows = candidates(tmp_path / "in.csv")[:5]
    main(["rerank", str(uri), str(tmp_path / "in.csv"), "--out", str(out), "--weight", "2"])
    found = json.loads(out.read_text())[:5]
    ids, prior = [str(row["id"]) for row in rows], [float(str(row["score"])) for row in rows]
    hits = SceneGraphIndex.open(str(uri)).rerank(str(rows[0]["query"]), ids, prior, 2.0).hits
    assert [row["id"] for row in found] == [hit.id for hit in hits]
    assert [row["score"] for row in found] == pytest.approx([hit.score for hit in hits], abs=1e-5)
    # Before are the scores that they came with, in whatever order.
    query, other = str(rows[0]["query"]), [*ids, "nowhere"]
    lines = [f"{query},{id},{place}" for place, id in enumerate(other)]
    (tmp_path / "more.csv").write_text("query,id,score\n" + "\n".join(lines) + "\n")
    capsys.readouterr()
    main(["rerank", str(uri), str(tmp_path / "more.csv"), "--out", str(out)])
    assert "1 candidate not in the index, such as 'nowhere'" in capsys.readouterr().err
    found = json.loads(out.read_text())
    assert {row["id"]: row["previous_rank"] for row in found} == {
        id: 6 - place for place, id in enumerate(other)
    }
    assert (found[-1]["id"], found[-1]["score"]) == ("nowhere", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header"),
        ("query,score\na,1\n", "expected a header"),
        ("query,id\n", "there is no candidate"),
        ("query,id\na,\n", "line 2: id: missing"),
        ("query,id\na,x\na,x\n", "line 3: id: 'x' is a candidate of this query already"),
        ("query,id,score\na,x,1\na,y,\n", "line 3: score: some rows have it"),
        ("query,id,score\na,x,nan\n", "line 2: score: not finite"),
        ("query,id,score\na,x,high\n", "line 2: score: expected a number"),
        ("query,id,relevant\na,x,2\n", "line 2: relevant: expected 0 or 1"),
        ("query,id\na dog,nowhere\n", "no image 'nowhere' among the 12 of the data"),
    ],
)
def test_wrong_candidates(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "in.csv").write_text(text)
    more = ("--data", DATA, "--split", "dev", "--out", "-")
    assert message in failed(capsys, "rerank", run, tmp_path / "in.csv", *more)


def test_wrong_flags(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.json").write_text('[{"query": "a dog", "id": "dev-0"}, 7]')
    assert "give --out" in failed(capsys, "rerank", run, tmp_path / "in.json")
    told = failed(capsys, "rerank", run, tmp_path / "in.json", "--out", "-")
    assert "row 1: expected an object" in told
    candidates(tmp_path / "in.csv")
    rows = (tmp_path / "in.csv").read_text().splitlines()
    (tmp_path / "none.csv").write_text("\n".join(row.rpartition(",")[0] for row in rows) + "\n")
    told = failed(
        capsys, "rerank", run, tmp_path / "none.csv", "--fit", "--data", DATA, "--split", "dev"
    )
    assert "the candidates come without scores" in told
