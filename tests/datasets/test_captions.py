"""Files of captions in the formats that the field uses."""

import json
from pathlib import Path

import pytest

from pyg_sgm.datasets import ImageFolder, open_dataset, read_captions

COCO = {
    "info": {},
    "images": [{"id": 9, "file_name": "000009.jpg"}, {"id": 3, "file_name": "000003.jpg"}],
    "annotations": [
        {"id": 1, "image_id": 3, "caption": "A cat.\n"},
        {"id": 2, "image_id": 9, "caption": "A dog runs."},
        {"id": 5, "image_id": 3, "caption": "An animal."},
    ],
}
TOKEN = "000003.jpg#0\tA cat.\r\n000009.jpg#0\tA dog runs.\n\n000003.jpg#1\tAn animal.\n"
RESULTS = """image_name| comment_number| comment
000003.jpg| 0| A cat.
000009.jpg| 0| A dog runs.
000003.jpg| 1| An animal.
"""
TABLE = "id,image,caption\n1,000003.jpg,A cat.\n2,000009.jpg,A dog runs.\n3,000003.jpg,An animal.\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("captions_val.json", json.dumps(COCO, indent=1)),
        ("after_blanks.json", "\n  " + json.dumps(COCO)),
        ("Flickr8k.token.txt", TOKEN),
        ("results.csv", RESULTS),
        ("captions.csv", TABLE),
    ],
)
def test_formats(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8-sig")
    rows = read_captions(path, strict=True)
    assert [row.text.caption for row in rows] == ["A cat.", "A dog runs.", "An animal."]
    assert [row.image for row in rows] == ["000003.jpg", "000009.jpg", "000003.jpg"]
    (tmp_path / "photos").mkdir()
    for image in ("000003.jpg", "000009.jpg"):
        (tmp_path / "photos" / image).touch()
    data = open_dataset(f"images:{tmp_path / 'photos'},captions={path}", "train")
    assert data.text_ids == ["000003.jpg#0", "000009.jpg#0", "000003.jpg#1"]
    data = open_dataset(f"captions:{path},images={tmp_path / 'photos'}", "train")
    assert data.image_of_text.tolist() == [0, 1, 0]
    assert data.images[1].file == tmp_path / "photos" / "000009.jpg"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (TOKEN + "000003.jpg\tNo number .\n", "line 5", "line 5: expected IMAGE#NUMBER, a tab"),
        (TOKEN + "000003.jpg#2\t \n", "000003.jpg#2", "line 5: caption: empty"),
        (RESULTS + "000003.jpg| 4   A dog .\n", "line 5", "line 5: expected three fields set off"),
        (RESULTS + "| 0| A dog .\n", "#0", "line 5: image: empty"),
    ],
)
def test_a_line_that_cannot_be_used(tmp_path: Path, text: str, name: str, message: str) -> None:
    path = tmp_path / "c.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"c.txt: {message}"):
        read_captions(path, strict=True)
    with pytest.warns(UserWarning, match=f"1 record .*left out: '{name}'; .*{message}"):
        assert len(read_captions(path)) == 3


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("images", {"id": None}, r"images\[0\]: id: expected a whole number"),
        ("images", {"file_name": ""}, r"images\[0\]: file_name: empty"),
        ("annotations", {"image_id": 4}, r"annotations\[1\]: image_id: there is no image 4"),
        ("annotations", {"caption": None}, r"annotations\[1\]: caption: expected a string"),
        ("annotations", {"caption": " "}, r"annotations\[1\]: caption: empty"),
    ],
)
def test_a_record_of_coco_that_cannot_be_used(
    tmp_path: Path, part: str, change: dict, message: str
) -> None:
    content = json.loads(json.dumps(COCO))
    content[part][0 if part == "images" else 1].update(change)
    path = tmp_path / "captions_val.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"captions_val.json: {message}"):
        open_dataset(f"coco:{path}", "any", strict=True)
    with pytest.warns(UserWarning, match=rf"left out: .*captions_val.json: {message}"):
        data = open_dataset(f"coco:{path}", "any")
    assert data.captions == ["A cat.", "An animal."]


def test_an_id_of_two_images_of_coco(tmp_path: Path) -> None:
    path = tmp_path / "captions_val.json"
    again = COCO["images"][:1]
    path.write_text(json.dumps(COCO | {"images": COCO["images"] + again}))
    assert len(read_captions(path, strict=True)) == 3
    path.write_text(json.dumps(COCO | {"images": COCO["images"] + [again[0] | {"file_name": "b"}]}))
    with pytest.raises(ValueError, match=r"captions_val.json: images\[2\]: id: 9 occurs twice"):
        read_captions(path)


def test_json_that_is_not_of_coco(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text('[{"image": "a.jpg", "caption": "A dog"}]')
    with pytest.raises(ValueError, match=r"c.json: expected an object, got \["):
        read_captions(path)


@pytest.mark.parametrize("text", ["{", '{"images": []}', '{"images": [], "annotations": []}'])
def test_no_captions_of_coco(tmp_path: Path, text: str) -> None:
    path = tmp_path / "captions_val.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"captions_val\.json: "):
        open_dataset(f"coco:{path}", "any")


def test_names_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("n,image, caption ,n\n1,a.jpg, A dog,2\n")
    (row,) = read_captions(path, strict=True)
    assert (row.image, row.text.caption) == ("a.jpg", "A dog")
    for header in ("image,caption,caption", "image,caption,image", "image_id,caption, image_id"):
        path.write_text(f"{header}\na.jpg,A dog,A cat\n")
        with pytest.raises(ValueError, match=r"c.csv: line 1: the column \w+ occurs twice"):
            read_captions(path)


def test_a_caption_of_two_lines(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(b'image,caption\r\na.jpg,"A cow\r\n  and, far off, a calf"\r\nb.jpg,Snow\r\n')
    rows = read_captions(path, strict=True)
    assert [row.text.caption for row in rows] == ["A cow and, far off, a calf", "Snow"]
    assert rows[1].where.endswith("c.csv: line 4")


def test_lines_of_a_caption_that_begin_with_numbers(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text('image,caption\na.jpg,"Two:\n2, dogs and a cat"\n7,"A list:\n10\nends"\n')
    rows = read_captions(path, strict=True)
    assert [row.text.caption for row in rows] == ["Two: 2, dogs and a cat", "A list: 10 ends"]
    for text in ('image,caption\n7,"A dog\n8,A cat"', 'n,image,caption\n1,a.jpg,"A\n2,b.jpg,B"'):
        path.write_text(text)
        with pytest.raises(ValueError, match="line 2: caption: a quotation mark is not closed"):
            read_captions(path, strict=True)


def test_files_of_other_endings(tmp_path: Path) -> None:
    names = ("a.jpg", "b.AVIF", "c.jfif", "d.HEIC", "e.cr2", "f.nef", "notes.txt", "g.json")
    for name in names:
        (tmp_path / name).touch()
    path = tmp_path / "captions.csv"
    path.write_text("image,caption\nb.AVIF,A dog\nc.jfif,A dog\nd.HEIC,A dog\ne.cr2,A cat\n")
    with pytest.warns(UserWarning, match=r"2 files of other endings \(.cr2, .nef\) are passed"):
        assert ImageFolder(tmp_path).image_ids == ["a.jpg", "b.AVIF", "c.jfif", "d.HEIC"]
    with (
        pytest.warns(UserWarning, match="2 files of other endings"),
        pytest.raises(ValueError, match=r"line 5: image: 'e.cr2' does not end like an image"),
    ):
        ImageFolder(tmp_path, path, strict=True)


def test_all_that_is_left_out_is_known(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("image,caption\n1.jpg,A dog\n" + "2.jpg,\n" * 25)
    with pytest.warns(
        UserWarning, match=r"25 records .*'2.jpg#19' and 5 more; the first: .*line 3"
    ):
        data = open_dataset(f"captions:{path}", "train")
    assert len(data.skipped) == 25
    assert data.skipped[24].id == "2.jpg#24"
    assert data.skipped[24].reason.endswith("c.csv: line 27: caption: empty")
    assert len(data.select_images([0]).skipped) == 25
    assert len(data.replace(texts=[], image_of_text=[]).skipped) == 25
