import json
from pathlib import Path

import pytest

from pyg_sgm.cli import main
from pyg_sgm.data import image_record, text_record
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.retrieval import with_parses


def fails(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(command)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_one_caption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["parse", "a red bird on a tree", "--draw", str(tmp_path / "graph.png")])
    assert "bird -- on -> tree" in capsys.readouterr().out
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    main(["parse", ""])
    assert "(nothing)" in capsys.readouterr().out


def test_a_file_keeps_its_order(tmp_path: Path) -> None:
    captions = ["a dog", "", "a man rides a horse", "\u2603"]
    source, out = tmp_path / "captions.txt", tmp_path / "graphs.jsonl"
    source.write_text("\n".join(captions) + "\n", encoding="utf-8")
    main(["parse", "--file", str(source), "--out", str(out)])
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["caption"] for row in rows] == captions
    assert rows[2]["relations"] == [["man", "ride", "horse"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.txt", "graphs.jsonl"]


def test_one_caption_to_a_file_and_to_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "graph.jsonl"
    main(["parse", "a man without a hat rides a horse", "--out", str(out)])
    capsys.readouterr()
    main(["parse", "a man without a hat rides a horse", "--out", "-"])
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == json.loads(out.read_text())
    graph = json.loads(line)
    assert graph["relations"] == [["man", "ride", "horse"]]
    assert graph["exclusions"] == [["man", "with", "hat"]]


def test_a_file_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "captions.txt"
    source.write_text("a dog\na cat on a mat\n")
    main(["parse", "--file", str(source), "--out", "-"])
    lines = capsys.readouterr().out.splitlines()  # nothing but graphs
    assert [json.loads(line)["objects"] for line in lines] == [["dog"], ["cat", "mat"]]


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    source, out = tmp_path / "captions.txt", tmp_path / "graphs.jsonl"
    source.write_bytes("\ufeffa dog\u2028on a mat\r\na \x0ccat\x85\na\rcow".encode())
    main(["parse", "--file", str(source), "--out", str(out)])
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["caption"] for row in rows] == ["a dog\u2028on a mat", "a \x0ccat\x85", "a\rcow"]


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "one caption, or --file" in fails(capsys, "parse")
    source, out = tmp_path / "captions.txt", tmp_path / "graphs.jsonl"
    command = ["parse", "--file", str(source)]
    assert "goes with --out" in fails(capsys, *command)
    assert "captions.txt" in fails(capsys, *command, "--out", str(out))
    assert "no folder" in fails(capsys, *command, "--out", str(tmp_path / "a" / "b"))
    out.write_text("kept")
    source.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in fails(capsys, *command, "--out", str(out))
    assert out.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.txt", "graphs.jsonl"]


def test_a_dataset_without_graphs_is_parsed(tmp_path: Path) -> None:
    bare = SceneGraphDataset(
        [image_record(["dog"], [[0, 0, 1, 1]], id="1")], [text_record("a dog on grass")], [0]
    )
    parsed = with_parses(bare, tmp_path / "parses.jsonl")
    assert parsed.texts[0].relations == ((0, "on", 1),)
    assert (tmp_path / "parses.jsonl").exists()
    assert with_parses(parsed) is parsed
