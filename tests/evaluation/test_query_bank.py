import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.evaluation import encode_images, encode_texts, score, with_query_bank
from pyg_sgm.models import (
    MODELS,
    Encoding,
    GraphSizes,
    Matcher,
    QueryBank,
    build_model,
    encoding_types,
    find_model,
    load_model,
    save_model,
)
from tests.helpers.training import saved_model, world


def test_against_reference() -> None:
    model, graphs = saved_model().model.eval(), world().encode(world().vocabularies())
    bank = with_query_bank(model, graphs, num_images=5)
    batch = graphs.batch()
    with torch.no_grad():
        scores = model.score(model.encode_image(batch.image), model.encode_text(batch.text))
    count = len(graphs.images)
    chosen = [i * count // 5 for i in range(5)]
    texts = [
        text
        for image in chosen
        for text in (graphs.image_of_text == image).nonzero()[:2, 0].tolist()
    ]
    s = scores.double().tolist()

    def log_mean(row: list[float]) -> float:
        return 0.05 * math.log(sum(math.exp(x / 0.05) for x in row) / len(row))

    of_image = [log_mean([row[t] for t in texts]) for row in s]
    of_text = [log_mean([s[i][t] for i in chosen]) for t in range(len(s[0]))]
    found = score(bank, encode_images(bank, graphs.images), encode_texts(bank, graphs.texts))
    for i, row in enumerate(s):
        for t, value in enumerate(row):
            expected = value - (of_image[i] + of_text[t]) / 2
            # The bank is kept in half precision.
            assert float(found[i, t]) == pytest.approx(expected, abs=2e-3)


def test_images_without_a_text_are_in_no_bank() -> None:
    model, data = saved_model().model.eval(), world()
    kept = [i for i, image in enumerate(data.image_of_text.tolist()) if image]
    texts = [data.texts[i] for i in kept]
    rest = data.replace(texts=texts, image_of_text=data.image_of_text[kept])
    graphs = data.select_images(range(1, len(data)))
    for num_images in (1, 5, len(data)):
        bank, expected = (
            with_query_bank(model, part.encode(data.vocabularies()), num_images).state_dict()
            for part in (rest, graphs)
        )
        assert all(torch.equal(bank[name], value) for name, value in expected.items())


def test_levels_add_up_and_nothing_of_the_model_is_lost() -> None:
    saved, graphs = saved_model(), world().encode(world().vocabularies())
    model = saved.model.eval()
    bank = with_query_bank(model, graphs, num_images=99)
    images, texts = encode_images(bank, graphs.images), encode_texts(bank, graphs.texts)
    whole = score(bank, images, texts)
    with torch.no_grad():
        levels = bank.levels(images, texts)
    torch.testing.assert_close(sum(levels.values()), whole)
    assert set(levels) == {*model.levels(images, texts), "hubness"}
    assert bank.config == model.config
    first = torch.tensor([0])
    told = bank.explain(
        images.select(first), texts.select(first), world().images[0], world().texts[0]
    )
    assert told.score == pytest.approx(float(whole[0, 0]), abs=1e-5)
    assert [level.name for level in bank.bound_levels()] == [
        level.name for level in model.bound_levels()
    ]
    assert torch.equal(bank.attention_nodes(images).x, model.attention_nodes(images).x)


def test_saved_and_opened(tmp_path: Path) -> None:
    data = SceneWorld("train", num_images=12, captions_per_image=2)
    matcher = SceneGraphMatcher("sgm", dim=8, hidden=8, embed=8)
    run = tmp_path / "run"
    matcher.fit(data, epochs=1, query_bank=6, out=run, progress=False)
    opened = SceneGraphMatcher.from_pretrained(run)
    assert isinstance(opened.model, QueryBank)
    assert torch.equal(opened.score(data, data), matcher.score(data, data))
    opened.save_pretrained(tmp_path / "copy")
    again = SceneGraphMatcher.from_pretrained(tmp_path / "copy")
    assert torch.equal(again.score(data, data), matcher.score(data, data))
    # A training that goes on is one of the model alone, and makes a bank of the new weights.
    matcher.fit(data, epochs=2, query_bank=6, out=run, resume=True, progress=False)
    after = SceneGraphMatcher.from_pretrained(run)
    assert torch.equal(after.score(data, data), matcher.score(data, data))
    assert not torch.equal(after.score(data, data), opened.score(data, data))


def test_its_temperature_is_saved_and_part_of_the_fingerprint(tmp_path: Path) -> None:
    saved, graphs = saved_model(), world().encode(world().vocabularies())
    usual = with_query_bank(saved.model.eval(), graphs, num_images=4)
    images, texts = (
        encode_images(saved.model, graphs.images),
        encode_texts(saved.model, graphs.texts),
    )
    half = [side.to(torch.half).to(torch.float) for side in (images, texts)]
    warm = QueryBank(saved.model, half[0], half[1], temperature=0.3)
    images, texts = encode_images(warm, graphs.images), encode_texts(warm, graphs.texts)
    save_model(tmp_path / "warm", replace(saved, model=warm))
    opened = load_model(tmp_path / "warm").model
    again = encode_images(opened, graphs.images), encode_texts(opened, graphs.texts)
    assert torch.equal(score(opened, *again), score(warm, images, texts))
    save_model(tmp_path / "usual", replace(saved, model=usual))

    def fingerprint(name: str) -> str:
        return SceneGraphMatcher.from_pretrained(tmp_path / name).fingerprint

    before = fingerprint("usual")
    assert fingerprint("warm") != before
    # Versions before knew only the usual one, and did not write it.
    path = tmp_path / "usual" / "config.json"
    config = json.loads(path.read_text())
    assert config.pop("query_bank_temperature") == 0.05
    path.write_text(json.dumps(config))
    assert fingerprint("usual") == before
    path.write_text(json.dumps(config | {"query_bank_temperature": -1}))
    with pytest.raises(ValueError, match=r"config\.json: query_bank_temperature: expected"):
        load_model(tmp_path / "usual")


def test_of_every_model(tmp_path: Path) -> None:
    data = SceneWorld("train", num_images=6, captions_per_image=2)
    vocabularies = data.vocabularies()
    graphs = data.encode(vocabularies)
    for name in MODELS:
        options = {"dim": 8, "embed": 8} | ({"num_blocks": 4} if name == "gsmn" else {})
        model = build_model(name, GraphSizes.of(vocabularies, features=64), options).eval()
        assert all(issubclass(kind, Encoding) for kind in encoding_types(model))
        bank = with_query_bank(model, graphs, num_images=4)
        again = QueryBank.of_bank(
            model, {k: v.float() if v.is_floating_point() else v for k, v in bank.bank().items()}
        )
        images, texts = encode_images(bank, graphs.images), encode_texts(bank, graphs.texts)
        assert torch.equal(score(again, images, texts), score(bank, images, texts))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images.objects": torch.full((3, 8), float("nan"))}, "objects holds NaN"),
        ({"images.objects_ptr": torch.tensor([0, 9999])}, "objects_ptr does not fit"),
        ({"texts.nothing": torch.zeros(3)}, "no bank of SGMEncoding"),
    ],
)
def test_a_wrong_bank_is_named(tmp_path: Path, change: dict[str, torch.Tensor], said: str) -> None:
    saved, graphs = saved_model(), world().encode(world().vocabularies())
    bank = with_query_bank(saved.model.eval(), graphs, num_images=4)
    save_model(tmp_path, type(saved)(saved.name, bank, saved.vocabularies))
    path = tmp_path / "query_bank.safetensors"
    save_file({**load_file(path), **change}, path)
    with pytest.raises(ValueError, match=rf"query_bank\.safetensors: .*{said}"):
        load_model(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"query_bank\.safetensors: missing, cut short"):
        load_model(tmp_path)


def test_what_it_cannot_be_made_of() -> None:
    saved, graphs = saved_model(), world().encode(world().vocabularies())
    with pytest.raises(ValueError, match="num_images must be at least 1"):
        with_query_bank(saved.model, graphs, 0)
    images = encode_images(saved.model, graphs.images)
    texts = encode_texts(saved.model, graphs.texts)
    with pytest.raises(ValueError, match="temperature must be positive"):
        QueryBank(saved.model, images, texts, temperature=0.0)

    class Silent(find_model("vse")):  # type: ignore[misc]
        def encode_image(self, batch):  # type: ignore[no-untyped-def]
            return super().encode_image(batch)

    silent: Matcher = Silent(saved.model.sizes)
    with pytest.raises(ValueError, match=r"Silent\.encode_image must say what it returns"):
        with_query_bank(silent, graphs, 4)
