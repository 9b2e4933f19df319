import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
import torch

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.data import EditedTexts, pack_texts
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.losses import edit_loss
from pyg_sgm.models import GraphSizes, build_model
from pyg_sgm.text import EDITS, EditKind, make_edits
from pyg_sgm.training import Recipe
from pyg_sgm.training.edits import edited_batch, training_edits, with_edits
from pyg_sgm.training.module import MatcherTraining


def world() -> SceneWorld:
    return SceneWorld("train", num_images=30, captions_per_image=2)


def test_two_edits_of_a_text_and_the_rare_kinds_first() -> None:
    data = world()
    of_text = data.image_of_text.tolist()
    chosen = training_edits(data.texts, of_text)
    assert max(Counter(edit.index for _, edit in chosen).values()) == 2
    available = {
        kind: {edit.index for edit in make_edits(data.texts, of_text, kind)}
        for kind in EDITS
        if kind not in ("swapped_reversible", "replaced_object", "swapped_attribute")
    }
    assert {kind for kind, _ in chosen} == {kind for kind in available if available[kind]}
    rarest = min((kind for kind in available if available[kind]), key=lambda k: len(available[k]))
    assert {edit.index for kind, edit in chosen if kind == rarest} == available[rarest]
    assert any(edit.true.caption != data.texts[edit.index].caption for _, edit in chosen)
    assert all(edit.true.caption != edit.false.caption for _, edit in chosen)


@pytest.mark.parametrize("kind", ["swapped_relation", "replaced_object"])
def test_named_kinds_alone(kind: EditKind) -> None:
    data = world()
    of_text = data.image_of_text.tolist()
    chosen = training_edits(data.texts, of_text, [kind])
    assert {found for found, _ in chosen} == {kind}
    with pytest.raises(ValueError, match="kind: expected one of"):
        training_edits(data.texts, of_text, ["turned"])


def test_a_batch_has_edits_of_its_own_texts_of_every_kind() -> None:
    data = world()
    vocabularies = data.vocabularies()
    chosen = training_edits(data.texts, data.image_of_text.tolist())
    graphs = with_edits(data.encode(vocabularies), chosen, vocabularies.words)
    assert graphs.edits is not None
    texts = torch.arange(0, 60, 3)
    batch = edited_batch(graphs, texts, count=6, seed=0)
    assert batch.edited is not None
    assert batch.image_of_edit is not None
    assert batch.edited.num_graphs == 12
    # Which edits they are is read from the words of the true and the false side.
    spelled = pack_texts(
        [e.true for _, e in chosen] + [e.false for _, e in chosen], vocabularies.words
    )
    rows = [spelled.batch([i])["word"].token.tolist() for i in range(len(spelled))]
    ptr = batch.edited["word"].ptr.tolist()
    token = batch.edited["word"].token.tolist()
    got = [token[a:b] for a, b in pairwise(ptr)]
    kinds = []
    for j, image in enumerate(batch.image_index[batch.image_of_edit].tolist()):
        mine = [
            (kind, edit)
            for n, (kind, edit) in enumerate(chosen)
            if rows[n] == got[j] and rows[n + len(chosen)] == got[j + 6]
        ]
        assert mine
        assert image in [int(data.image_of_text[edit.index]) for _, edit in mine]
        kinds.append(mine[0][0])
    assert len(set(kinds)) >= 3
    again = edited_batch(graphs, texts, count=6, seed=0)
    assert torch.equal(again.image_of_edit, batch.image_of_edit)
    few = edited_batch(graphs, texts[:1], count=50, seed=0)
    assert few.image_of_edit is not None
    assert 1 <= len(few.image_of_edit) <= 2


def test_a_step_adds_the_loss_on_edits() -> None:
    data = world()
    vocabularies = data.vocabularies()
    chosen = training_edits(data.texts, data.image_of_text.tolist())
    graphs = with_edits(data.encode(vocabularies), chosen, vocabularies.words)
    sizes = GraphSizes.of(vocabularies, features=64)
    model = build_model("sgm", sizes, {"dim": 16, "hidden": 16, "embed": 8})
    batch = edited_batch(graphs, torch.arange(20), count=8, seed=0)
    losses = []
    for weight in (0.0, 0.5):
        training = MatcherTraining(model, Recipe(edit_weight=weight))
        training.log = lambda *args, **options: None  # type: ignore[method-assign]
        losses.append(training.training_step(batch, 0).item())
    image = model.encode_image(batch.image)
    scores = model.score(image, model.encode_text(batch.edited))
    of_edits = edit_loss(scores[:, :8], scores[:, 8:], batch.image_of_edit).item()
    assert losses[1] - losses[0] == pytest.approx(0.5 * of_edits, rel=1e-4)


def test_swaps_are_learned_by_edits() -> None:
    data = SceneWorld("train", num_images=60, captions_per_image=2)
    options = {"dim": 32, "hidden": 32, "embed": 16}
    matcher = SceneGraphMatcher("sgm", **options)
    kinds = ("swapped_relation",)
    matcher.fit(
        data,
        epochs=12,
        lr=0.01,
        images_per_batch=16,
        edit_weight=1.0,
        edit_kinds=kinds,
        progress=False,
    )
    edits = make_edits(data.texts, data.image_of_text.tolist(), "swapped_relation")
    own = data.image_of_text[[edit.index for edit in edits]]
    true = matcher.score(data, [edit.true for edit in edits])
    false = matcher.score(data, [edit.false for edit in edits])
    wins = (true > false).float()
    own_wins = wins[own, torch.arange(len(edits))].mean()
    assert own_wins > wins.mean() + 0.2


def test_lists_of_other_lengths() -> None:
    data = world()
    graphs = data.encode(data.vocabularies())
    with pytest.raises(ValueError, match="true and false texts"):
        EditedTexts(graphs.texts, torch.arange(3), torch.arange(3))


@pytest.mark.slow
def test_every_process_makes_the_same_edits() -> None:
    # A training that is resumed goes on with those that it was started with.
    script = (
        "from pyg_sgm.datasets import SceneWorld\n"
        "from pyg_sgm.training.edits import training_edits\n"
        "world = SceneWorld('train', num_images=60, captions_per_image=3)\n"
        "for kind, edit in training_edits(world.texts, world.image_of_text.tolist()):\n"
        "    print(kind, edit.index, edit.true.caption, edit.false.caption)\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
    assert "added_object" in said.pop()
