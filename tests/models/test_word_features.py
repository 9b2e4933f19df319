"""Models whose texts come with vectors of a language model."""

from dataclasses import replace

import pytest
import torch

from pyg_sgm.data import Ragged, Spans
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.evaluation import with_class_features
from pyg_sgm.models import GraphSizes, find_model
from pyg_sgm.models.serialization import build_model

WIDTH = 12
OPTIONS = {
    "dpc": {"dim": 8},
    "dspe": {"dim": 8},
    "dvsa": {"dim": 8},
    "gsmn": {"dim": 8, "num_blocks": 4},
    "hoad": {"dim": 8, "hidden": 8, "num_perspectives": 4, "shared_label_projection": True},
    "lgsgm": {"dim": 8, "hidden": 10},
    "pvse": {"dim": 8},
    "saem": {"dim": 8},
    "scan": {"dim": 8, "shared_label_projection": True},
    "sco": {"dim": 8},
    "sgm": {"dim": 8, "hidden": 10, "shared_label_projection": True},
    "sgraf": {"dim": 8, "similarity": 6},
    "vse": {"dim": 8},
    "vse_infinity": {"dim": 8, "position": 4},
    "vsrn": {"dim": 8},
}


def word_vectors(texts):
    count = torch.tensor([len(text.words) for text in texts])
    rows = torch.randn(int(count.sum()), WIDTH, generator=torch.Generator().manual_seed(0))
    return Ragged(rows, Spans.packed(count))


def graphs_and_model(name: str, **options):
    world = SceneWorld("dev", num_images=6)
    vocabularies = world.vocabularies()
    sizes = GraphSizes.of(vocabularies, features=64, word_features=WIDTH)
    model = build_model(name, sizes, {**OPTIONS[name], "embed": WIDTH, **options})
    return world.encode(vocabularies, word_vectors), model.double().eval()


def as_double(batch):
    for store in batch.node_stores:
        for key, value in store.items():
            if torch.is_tensor(value) and value.is_floating_point():
                store[key] = value.double()
    return batch


@pytest.mark.parametrize("name", OPTIONS)
def test_words_are_read_from_their_features_alone(name: str) -> None:
    graphs, model = graphs_and_model(name)
    image, text = as_double(graphs.images.batch()), as_double(graphs.texts.batch())
    scores = model(image, text)
    for store in text.node_stores:
        if "token" in store:
            store["token"] = torch.zeros_like(store["token"])
    assert torch.equal(model(image, text), scores)
    last = text["word"].ptr[-2]
    text["word"].x[last:] = text["word"].x[last:].flip(0) + 1
    changed = model(image, text)
    assert torch.equal(changed[:, :-1], scores[:, :-1])
    assert not torch.allclose(changed[:, -1], scores[:, -1])


@pytest.mark.parametrize("name", OPTIONS)
def test_a_text_alone_is_as_among_others(name: str) -> None:
    graphs, model = graphs_and_model(name)
    image = as_double(graphs.images.batch())
    together = model(image, as_double(graphs.texts.batch()))
    alone = torch.cat(
        [model(image, as_double(graphs.texts.batch([i]))) for i in range(len(graphs))], dim=1
    )
    torch.testing.assert_close(alone, together)


def test_triplets_are_two_layers_on_the_means_of_their_words() -> None:
    graphs, model = graphs_and_model("sgm", shared_label_projection=False)
    batch = as_double(graphs.texts.batch())
    found = model.encode_text(batch).relations.x
    weights = {k: v for k, v in model.state_dict().items() if k.startswith("path_encoder")}
    words = batch["word"].x
    spans = {
        node: batch[node, "spans", "word"].edge_index.t().tolist()
        for node in ("object", "relation")
    }

    def mean(node: str, i: int) -> torch.Tensor:
        rows = [words[word] for of, word in spans[node] if of == i]
        return sum(rows) / len(rows) if rows else torch.zeros(WIDTH).double()

    subjects = batch["object", "subject_of", "relation"].edge_index[0].tolist()
    objects = batch["relation", "has_object", "object"].edge_index[1].tolist()
    assert len(found) == len(subjects) > 0
    for r, (s, o) in enumerate(zip(subjects, objects, strict=True)):
        parts = torch.cat([mean("object", s), mean("relation", r), mean("object", o)])
        hidden = weights["path_encoder.0.weight"] @ parts + weights["path_encoder.0.bias"]
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        expected = weights["path_encoder.3.weight"] @ hidden + weights["path_encoder.3.bias"]
        torch.testing.assert_close(found[r], expected)


def test_the_similarity_of_a_triplet_is_the_mean_of_its_parts() -> None:
    """Of ``fusion="sum"``, where the recipe for photos has it."""
    graphs, model = graphs_and_model("sgm", fusion="sum", normalize=True, null_temperature=0.05)
    image, text = as_double(graphs.images.batch()), as_double(graphs.texts.batch())
    relations, triplets = model.encode_image(image).relations, model.encode_text(text).relations
    assert relations.x.shape[1] == triplets.x.shape[1] == 24
    cosines = [
        torch.cosine_similarity(triplets.x[:1, part], relations.x[:, part])
        for part in (slice(8), slice(8, 16), slice(16, 24))
    ]
    torch.testing.assert_close(triplets.x[:1] @ relations.x.t(), (sum(cosines) / 3)[None])
    # The ends of a triplet are encoded as the words of the text are.
    words = model.encode_text(text).objects
    node, word = text["object", "spans", "word"].edge_index
    subject = text["object", "subject_of", "relation"].edge_index[0]
    alone = [
        (triplet, int(word[node == s]))
        for triplet, s in enumerate(subject)
        if (node == s).sum() == 1
    ]
    assert alone
    for triplet, at in alone:
        torch.testing.assert_close(triplets.x[triplet, :8] * 3**0.5, words.x[at])
    for variant in ("oom-vrel", "oom-trel"):
        with pytest.raises(ValueError, match="fusion 'sum' has the variants"):
            graphs_and_model("sgm", fusion="sum", variant=variant)


def test_mistakes() -> None:
    graphs, model = graphs_and_model("sgm")
    batch = as_double(graphs.texts.batch())
    batch["word"].x = batch["word"].x[:, :5]
    with pytest.raises(ValueError, match=r"word\.x: 5 features, the model has 12"):
        model.encode_text(batch)
    with pytest.raises(
        ValueError, match="embed must be the width of the word features, 12, or half of it: 8"
    ):
        find_model("sgm")(GraphSizes(5, 5, 5, 5, word_features=12), dim=4, hidden=4, embed=8)  # type: ignore[call-arg]


def test_dropped_relations_count_less_in_evaluation() -> None:
    options = {"fusion": "sum", "normalize": True, "null_temperature": 0.05}
    graphs, model = graphs_and_model("sgm", relation_dropout=0.25, **options)
    image = model.encode_image(as_double(graphs.images.batch()))
    text = model.encode_text(as_double(graphs.texts.batch()))
    whole = model.train().levels(image, text)
    levels = model.eval().levels(image, text)
    torch.testing.assert_close(levels["relation"], 0.75 * whole["relation"])
    torch.testing.assert_close(model.score(image, text), sum(levels.values()))


def read_and_model(variant: str = "sgm"):
    """The first world's graphs with features of labels (the last image has no labels), and SGM."""
    world = SceneWorld("dev", num_images=4)
    vocabularies = world.vocabularies()
    options = {"fusion": "sum", "normalize": True, "shared_label_projection": True}
    sizes = GraphSizes.of(vocabularies, 64, word_features=WIDTH, label_features=WIDTH)
    model = build_model(
        "sgm", sizes, {**options, "embed": WIDTH, "dim": 8, "global_dim": 6, "variant": variant}
    )
    images = world.encode(vocabularies, word_vectors).images
    batch = as_double(images.batch())
    generator = torch.Generator().manual_seed(1)
    for node in ("object", "relation"):
        x = torch.randn(batch[node].num_nodes, WIDTH, generator=generator).double()
        x[batch[node].ptr[-2] :] = 0
        batch[node].label_x = x
    return batch, model.double().eval()


def test_features_of_labels_shift_nodes() -> None:
    """Those of objects as if embeddings of labels were shifted, those of relations by a layer."""
    batch, model = read_and_model()
    plain = build_model("sgm", replace(model.sizes, label_features=0), model.config).double().eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "lin_phrase" not in k})
    embedded = model.object_embedding(batch["object"].label) + batch["object"].label_x
    found = model.encode_image(batch)
    told = batch["relation"].label_x @ (model.lin_phrase.weight + model.shared.weight).t()
    told = told + model.lin_phrase.bias

    batch["object"].label = torch.arange(batch["object"].num_nodes)
    plain.object_embedding.weight = torch.nn.Parameter(embedded)
    seen = []
    plain.nodes.predicates.register_forward_hook(lambda *args: seen.append(args[-1]))
    expected = plain.encode_image(batch)
    torch.testing.assert_close(found.objects.x, expected.objects.x)
    for ends in (slice(8), slice(16, 24)):  # of a triplet, whose middle third is the predicate
        torch.testing.assert_close(found.relations.x[:, ends], expected.relations.x[:, ends])
    told = told + seen[0]
    told = told / told.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found.relations.x[:, 8:16] * 3**0.5, told)


@pytest.mark.parametrize("variant", ["sgm", "oom"])
def test_the_global_level_hears_what_labels_tell(variant: str) -> None:
    batch, model = read_and_model(variant)
    seen = []
    model.image_summary.register_forward_hook(lambda module, args, out: seen.append(args[1]))
    model.encode_image(batch)
    w, b = model.text_mean.weight.detach(), model.text_mean.bias.detach()
    for node in ("object", "relation"):
        batch[node].label_x = batch[node].label_x.clone()
    for i in range(4):
        told = torch.zeros(WIDTH).double()
        for node in ("object", "relation") if variant == "sgm" else ("object",):
            rows = batch[node].label_x[batch[node].batch == i]
            rows = [row for row in rows if row.abs().sum() > 0]
            told += sum(rows) / len(rows) if rows else 0
        mean = seen[0][i] - (w @ told + b)
        if i == 3:
            assert not told.any()
        x = model.nodes.norm(batch["object"].x)
        x = x[batch["object"].batch == i].mean(dim=0)
        torch.testing.assert_close(mean, model.image_mean(x))


def test_of_two_vectors_the_second_is_of_the_sentence() -> None:
    """Alike they are as one; a difference of the second is heard by the global level alone."""
    image, model = read_and_model()
    world = SceneWorld("dev", num_images=4)
    text = as_double(world.encode(world.vocabularies(), word_vectors).texts.batch())
    sizes = replace(model.sizes, word_features=2 * WIDTH, label_features=2 * WIDTH)
    double = build_model("sgm", sizes, model.config).double().eval()
    double.load_state_dict(model.state_dict())
    sides = (
        (model.encode_image, double.encode_image, image, ("object", "relation"), "label_x"),
        (model.encode_text, double.encode_text, text, ("word",), "x"),
    )
    for encode, encode_double, batch, nodes, name in sides:
        expected = encode(batch)
        for node in nodes:
            batch[node][name] = batch[node][name].repeat(1, 2)
        found = encode_double(batch)
        torch.testing.assert_close(found.objects.x, expected.objects.x)
        torch.testing.assert_close(found.relations.x, expected.relations.x)
        torch.testing.assert_close(found.summary, expected.summary)
        for node in nodes:
            batch[node][name][:, WIDTH:] += 1
        changed = encode_double(batch)
        assert torch.equal(changed.objects.x, found.objects.x)
        assert torch.equal(changed.relations.x, found.relations.x)
        assert not torch.allclose(changed.summary, found.summary)


def test_labels_that_were_not_read() -> None:
    with pytest.raises(
        ValueError, match="embed must be the width of the label features, 12, or half of it: 8"
    ):
        build_model("sgm", GraphSizes(5, 5, 5, 5, label_features=12), {"embed": 8, "fusion": "sum"})
    with pytest.raises(
        ValueError, match="fusion 'sum' takes features of labels and classes, 'tanh'"
    ):
        build_model("sgm", GraphSizes(5, 5, 5, 5, label_features=12), {"embed": 12})
    batch, model = read_and_model()
    batch["relation"].label_x = batch["relation"].label_x[:, :5]
    with pytest.raises(ValueError, match=r"relation\.label_x: 5 features, the model has 12: give"):
        model.encode_image(batch)
    del batch["object"].label_x
    with pytest.raises(ValueError, match=r"object\.label_x: 0 features"):
        model.encode_image(batch)


@pytest.mark.parametrize("variant", ["sgm", "oom"])
def test_classes_are_read_once_before_training(variant: str) -> None:
    world = SceneWorld("dev", num_images=4)
    images = world.encode(world.vocabularies()).images
    sizes = GraphSizes.of(world.vocabularies(), 64, classes=7)
    options = {"fusion": "sum", "embed": WIDTH, "dim": 8, "global_dim": 6, "variant": variant}
    model = build_model("sgm", sizes, options).eval()
    model.init_classes(torch.randn(7, 64), torch.zeros(7), torch.randn(7, WIDTH), torch.rand(9, 64))
    expected = model.encode_image(images.batch())
    known = with_class_features(model, images).select([3, 1, 0, 2]).batch()
    assert ("class_x" in known["relation"]) == (variant == "sgm")
    model.classes = None  # it is not asked again
    found = model.encode_image(known).select(torch.tensor([2, 1, 3, 0]))
    torch.testing.assert_close(found.summary, expected.summary, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(found.objects.x, expected.objects.x, atol=2e-3, rtol=2e-3)
    plain = build_model("sgm", GraphSizes.of(world.vocabularies(), 64), options)
    assert with_class_features(plain, images) is images


def test_names_of_classes_are_read() -> None:
    """They are as features of the labels of objects, and of the unions that relations look like."""
    batch, labeled = read_and_model()
    sizes = replace(labeled.sizes, label_features=0, classes=7)
    model = build_model("sgm", sizes, labeled.config).double().eval()
    model.load_state_dict(model.state_dict() | labeled.state_dict())
    generator = torch.Generator().manual_seed(2)
    weight, vectors = torch.randn(7, 64, generator=generator), torch.randn(7, WIDTH)
    with pytest.raises(ValueError, match=r"classes \[6, 64\], the model takes \[7, 64\]"):
        model.init_classes(weight[:6], torch.zeros(6), vectors[:6], torch.zeros(3, 64))
    with pytest.raises(ValueError, match=r"classes \[7, 64\], the model takes None"):
        labeled.init_classes(weight, torch.zeros(7), vectors, torch.zeros(3, 64))
    with pytest.raises(ValueError, match="VSE takes no classes"):
        build_model("vse", GraphSizes(5, 5, 5, 5), {}).init_classes(
            weight, weight[:, 0], vectors, weight
        )
    model.init_classes(weight.double(), torch.zeros(7), vectors, batch["object"].x)
    found = model.encode_image(batch)
    batch["object"].label_x = model.classes(batch["object"].x)
    batch["relation"].label_x = model.classes(batch["relation"].x)
    expected = labeled.encode_image(batch)
    torch.testing.assert_close(found.objects.x, expected.objects.x)
    torch.testing.assert_close(found.relations.x, expected.relations.x)
    torch.testing.assert_close(found.summary, expected.summary)

    # Where labels are read too, both are added.
    both = build_model("sgm", replace(sizes, label_features=WIDTH), labeled.config).double().eval()
    both.load_state_dict(labeled.state_dict() | model.classes.state_dict(prefix="classes."))
    twice = both.encode_image(batch)
    for node in ("object", "relation"):
        batch[node].label_x = 2 * batch[node].label_x
    expected = labeled.encode_image(batch)
    torch.testing.assert_close(twice.objects.x, expected.objects.x)
    torch.testing.assert_close(twice.relations.x, expected.relations.x)
