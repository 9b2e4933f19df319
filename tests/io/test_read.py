import gzip
from pathlib import Path

import pytest

from pyg_sgm.io import read_bytes, read_json, read_json_lines, read_lines, read_text


def written(tmp_path: Path, content: bytes, name: str = "file.json") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut short"),
        (b'{"a": ', "cut short"),
        (b"\xff\xfe", "not UTF-8"),
        (b"\n\n\xe4", "line 3: not UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"[1" + b"0" * 400 + b"]", "too large"),
        (b"[9223372036854775808]", "too large"),
        (b"[1e999]", "too large"),
        (b"[-1.5E+400]", "too large"),
        (b"[1" + b"0" * 9000 + b"]", "too large|Exceeds the limit"),
        (b"\x80\x04]", "pickle"),
    ],
)
def test_what_is_no_json(tmp_path: Path, content: bytes, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=rf"file\.json: .*({message})"):
        read_json(path)


def test_largest_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, b"[9223372036854775807, -9223372036854775808, 1e308, 1e-999]")
    assert read_json(path) == [2**63 - 1, -(2**63), 1e308, 0.0]
    path = written(tmp_path, b'{"id": "12345678901234567890123.jpg", "n": 3, "x": 0.5}')
    assert read_json(path) == {"id": "12345678901234567890123.jpg", "n": 3, "x": 0.5}


def test_byte_order_mark(tmp_path: Path) -> None:
    path = written(tmp_path, b'\xef\xbb\xbf{"a": "\xc3\xa4"}')
    assert read_json(path) == {"a": "ä"}
    assert read_text(path) == '{"a": "ä"}'
    assert list(read_json_lines(path)) == [(1, {"a": "ä"})]


def test_kind(tmp_path: Path) -> None:
    path = written(tmp_path, b"[]")
    assert read_json(path, list) == []
    with pytest.raises(ValueError, match=r"file\.json: expected an object, got list"):
        read_json(path, dict)


def test_pickles_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="never read"):
        read_json(written(tmp_path, b"{}", "graphs.joblib"))


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_json(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"nothing\.gz"):
        read_json(tmp_path / "nothing.gz")


def test_lines_end_in_line_feeds_alone(tmp_path: Path) -> None:
    text = "one\r\ntwo\u2028still two\x0b\x0c\x85\nthree\rfour\n\nlast"
    expected = ["one", "two\u2028still two\x0b\x0c\x85", "three\rfour", "", "last"]
    assert read_lines(written(tmp_path, text.encode())) == expected
    assert read_lines(written(tmp_path, text.encode() + b"\n")) == expected
    assert read_lines(written(tmp_path, b"")) == []


def test_json_lines_name_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"a": 1}\n{"a": \n')
    rows = read_json_lines(path)
    assert next(rows) == (1, {"a": 1})
    with pytest.raises(ValueError, match=r"file\.json: line 2: cut short"):
        next(rows)


def test_gzip(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(b"[1, 2]"), "a.json.gz")
    assert read_json(path) == [1, 2]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"a\.json\.gz: cut short or not gzip"):
        read_bytes(path)
    path.write_bytes(b"[1, 2]")
    with pytest.raises(ValueError, match=r"a\.json\.gz: cut short or not gzip"):
        read_bytes(path)


def test_gzip_bomb(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(bytes(70 << 20)), "bomb.gz")
    with pytest.raises(ValueError, match=r"bomb\.gz: unpacks to more"):
        read_bytes(path)
