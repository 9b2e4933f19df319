import json
from pathlib import Path

import pytest

pytest.importorskip("cyclopts")
pytest.importorskip("lancedb")

from pyg_sgm.cli import main
from pyg_sgm.datasets import SceneWorld
from tests.helpers.indexes import matcher_of

DATA = "scene-world:num_images=12"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    matcher_of(SceneWorld("train", num_images=20)).save_pretrained(tmp_path / "run")
    return tmp_path / "run"


def said(capsys: pytest.CaptureFixture[str], *tokens: object) -> str:
    capsys.readouterr()
    main([str(token) for token in tokens])
    return capsys.readouterr().out


def failed(capsys: pytest.CaptureFixture[str], *tokens: object) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main([str(token) for token in tokens])
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.filterwarnings("default:.*rows name none")
def test_an_index_from_first_to_last(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / "world.idx"
    ids = SceneWorld("dev", num_images=12).image_ids
    table = tmp_path / "years.csv"
    table.write_text("image,year\n" + "".join(f"{id},{2000 + i}\n" for i, id in enumerate(ids)))
    build = ("index", "build", index, "--run", run, "--data", DATA, "--split", "dev")
    assert "12 photos added" in said(capsys, *build, "--metadata", table)
    assert "12 unchanged" in said(capsys, *build)
    table.write_text(f"image,year\n{ids[0]},1999\nnobody,1\n")
    main([str(token) for token in (*build, "--metadata", table)])
    told = capsys.readouterr()
    assert "1 replaced, 11 unchanged" in told.out
    assert "1 of 2 rows name none of the images, such as 'nobody'" in told.err
    table.write_text(
        f"image,day,note,zip\n{ids[0]},2020-01-02,,00501\n{ids[1]},2020-01-03,x,02134\n"
    )
    said(capsys, *build, "--metadata", table)
    found = json.loads(said(capsys, "search", index, "a dog", "--top", 12, "--json", "-"))
    first = next(h for h in found["queries"][0]["hits"] if h["id"] == ids[0])
    assert first["metadata"] == {"year": 1999, "day": "2020-01-02", "zip": "00501"}
    done = json.loads(said(capsys, "index", "add", index, "--data", DATA, "--json", "-"))
    assert (done["added"], done["num_images"]) == (12, 24)
    done = json.loads(said(capsys, "index", "remove", index, ids[0], "nobody", "--json", "-"))
    assert done == {"removed": 1, "unknown": ["nobody"], "num_images": 23}
    info = json.loads(said(capsys, "index", "info", index, "--json", "-"))
    assert info["num_images"] == 23
    assert info["run"] == str(run)
    assert info["fields"] == {
        "year": "int64",
        "day": "date32[day]",
        "note": "string",
        "zip": "string",
    }
    assert "num_images: 23" in said(capsys, "index", "info", index)
    assert "all is well" in said(capsys, "index", "verify", index)
    assert "1 fragments" in said(capsys, "index", "optimize", index)
    found = json.loads(
        said(capsys, "search", index, "a dog", "a cat", "--where", "year > 2005", "--top", 3,
             "--json", "-")
    )  # fmt: skip
    assert [query["query"] for query in found["queries"]] == ["a dog", "a cat"]
    assert all(query["certified"] and len(query["hits"]) == 3 for query in found["queries"])
    assert found["queries"][0]["num_images"] == 6
    shown = said(capsys, "search", index, "a man without a hat", "--similar-to", ids[1])
    assert "without hat" in shown
    assert "proved to be the best" in shown
    query = tmp_path / "query.json"
    query.write_text(json.dumps({"texts": ["a dog"]}))
    search = ("search", index, "a dog", "--exclude", "a cat", "--query-file", query, "--json", "-")
    excluded, filed = json.loads(said(capsys, *search))["queries"]
    assert [hit["id"] for hit in excluded["hits"]] == [hit["id"] for hit in filed["hits"]]
    assert all(hit["levels"]["excluded"] <= 0 for hit in filed["hits"])
    search = ("search", index, "--similar-to", ids[1], *search[3:5], *search[7:])
    (similar,) = json.loads(said(capsys, *search))["queries"]
    assert all(hit["levels"]["excluded"] <= 0 for hit in similar["hits"])
    (plain,) = json.loads(said(capsys, "search", index, "a dog", "--json", "-"))["queries"]
    search = ("search", index, "a dog", "--weight", "dog=3", "--weight", "a=0", "--json", "-")
    (weighed,) = json.loads(said(capsys, *search))["queries"]
    assert weighed["hits"][0]["score"] != pytest.approx(plain["hits"][0]["score"])
    assert "23 photos written" in said(capsys, "index", "export", index, tmp_path / "a.npz")
    assert "23 photos in" in said(capsys, "index", "rebuild", index, "--run", run, "--data", DATA)


def test_mistakes_are_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = tmp_path / "world.idx"
    build = ("index", "build", index, "--run", run)
    assert "give photos, or --data" in failed(capsys, *build)
    assert "there is no such file" in failed(capsys, *build, tmp_path / "photos")
    said(capsys, *build, "--data", DATA)
    assert "give a query" in failed(capsys, "search", index)
    assert "--data: not in an index" in failed(capsys, "search", index, "a", "--data", DATA)
    assert "--graphs: not in an index" in failed(capsys, "search", index, "a", "--graphs", "b")
    assert "has no word" in failed(capsys, "search", index, "")
    assert "has no word" in failed(capsys, "search", run, "--data", DATA, "--text", "...")
    assert "Unknown option" in failed(capsys, "search", index, "-")
    assert "is no index" in failed(capsys, "search", run, "a dog")
    told = failed(capsys, "evaluate", index, "--data", DATA)
    assert "is an index: give the run that it was built with" in told
    assert "no column 'path'" in failed(capsys, "search", index, "a", "--where", "path = ''")
    assert "is no file" in failed(capsys, "search", index, "--similar-to", "nobody")
    named = ("--similar-to", "nobody", "--detector", "onnx:nothing.onnx")
    assert "nothing.onnx" in failed(capsys, "search", index, *named)
    assert "nothing.onnx" in failed(capsys, "serve", index, "--port", "0", *named[2:])
    build_again = (*build, "--data", DATA)
    assert "has one index" in failed(capsys, *build_again, "--shards", "2")
    assert "has float16" in failed(capsys, *build_again, "--dtype", "float32")
    assert "WORD=FACTOR" in failed(capsys, "search", index, "a dog", "--weight", "dog")
    assert "'cat' is no word" in failed(capsys, "search", index, "a dog", "--weight", "cat=2")
    flag = ("--text", "a", "--exclude", "hat")
    assert "--exclude: only in an index" in failed(capsys, "search", run, *flag)
    assert "no calibration" in failed(capsys, "search", index, "a", "--probability", "0.5")
    (tmp_path / "query.json").write_text('{"texts": [{"objects": [3]}]}')
    query = ("--query-file", tmp_path / "query.json")
    assert "query: texts[0]" in failed(capsys, "search", index, *query)
    assert "there is no such index" in failed(capsys, "index", "info", tmp_path / "other.idx")
    table = tmp_path / "a.csv"
    table.write_text("name,year\na,1\n")
    add = ("index", "add", index, "--data", DATA, "--split", "dev", "--metadata", table)
    assert "no column image" in failed(capsys, *add)
    table.write_text("image,year,year\na,1,2\n")
    assert f"{table}: two columns are named year" in failed(capsys, *add)
    table.write_text("image,year\na,1\na,2\n")
    assert f"{table}: two rows name the image 'a'" in failed(capsys, *add)
    (file,) = index.glob("segments/*/objects.npy")
    file.write_bytes(file.read_bytes()[:-1])
    assert "1 damages" in failed(capsys, "index", "verify", index)
