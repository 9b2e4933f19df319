"""Pictures of parsed captions."""

import pytest

from pyg_sgm.text import ParsedCaption, parse
from pyg_sgm.viz import draw_caption


@pytest.mark.parametrize(
    "parsed", [parse("two men on a red bus see a man"), ParsedCaption(""), ParsedCaption("a" * 300)]
)
def test_picture(tmp_path, parsed):
    pytest.importorskip("matplotlib")
    draw_caption(parsed, tmp_path / "graph.png")
    assert (tmp_path / "graph.png").read_bytes()[1:4] == b"PNG"


def test_picture_of_two_relations_between_the_same_objects(tmp_path):
    pytest.importorskip("matplotlib")
    relations = ((0, "on", 1), (0, "near", 1), (1, "under", 0), (1, "a", 1))
    parsed = ParsedCaption(
        "x", ("x", "y"), ("x", "y"), (), relations, ((0,), (1,)), (), ((), (), (), ())
    )
    draw_caption(parsed, tmp_path / "graph.svg")
    assert "<svg" in (tmp_path / "graph.svg").read_text()


def test_the_old_name_still_draws(tmp_path):
    pytest.importorskip("matplotlib")
    import pyg_sgm.text

    with pytest.warns(DeprecationWarning, match="draw_caption"):
        assert pyg_sgm.text.draw is draw_caption
