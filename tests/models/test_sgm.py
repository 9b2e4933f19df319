import math

import pytest
import torch

from pyg_sgm.data import GraphCollection
from pyg_sgm.models import SGM, SGMEncoding
from pyg_sgm.nn.paths import triplet_paths
from pyg_sgm.testing import (
    assert_batch_invariant,
    assert_graph_order_invariant,
    assert_node_order_invariant,
    scores_of,
)
from tests.helpers.worlds import edge_cases, sizes_of

VARIANTS = ["sgm", "oom", "oom-no-context", "oom-vrel", "oom-trel"]
ADDITIONS = dict(
    normalize=True, shared_label_projection=True, weigh_nodes=True, bidirectional=True, global_dim=6
)


def build(variant="sgm", **options):
    torch.manual_seed(0)
    pairs, vocabularies = edge_cases()
    options = dict(dim=6, hidden=5, embed=4) | options
    return SGM(sizes_of(vocabularies), variant=variant, **options).eval().double(), pairs


# A reference of the paper's equations: one graph, one node, one number at a time.


def dense(weights, name, x):
    bias = weights.get(f"{name}.bias")
    rows = weights[f"{name}.weight"].tolist()
    out = [sum(w * v for w, v in zip(row, x, strict=True)) for row in rows]
    return out if bias is None else [o + b for o, b in zip(out, bias.tolist(), strict=True)]


def gru_reference(weights, name, steps, suffix):
    """Last and all states of one direction."""
    dim = weights[f"{name}.rnn.weight_hh_l0"].size(1)
    w = {
        k: weights[f"{name}.rnn.{k}_l0{suffix}"].tolist()
        for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    h, states = [0.0] * dim, []
    for x in steps:
        gi = [
            sum(a * b for a, b in zip(row, x, strict=True)) + bias
            for row, bias in zip(w["weight_ih"], w["bias_ih"], strict=True)
        ]
        gh = [
            sum(a * b for a, b in zip(row, h, strict=True)) + bias
            for row, bias in zip(w["weight_hh"], w["bias_hh"], strict=True)
        ]
        new = []
        for k in range(dim):
            r = 1 / (1 + math.exp(-gi[k] - gh[k]))
            z = 1 / (1 + math.exp(-gi[dim + k] - gh[dim + k]))
            n = math.tanh(gi[2 * dim + k] + r * gh[2 * dim + k])
            new.append((1 - z) * n + z * h[k])
        h = new
        states.append(h)
    return states


def average(a, b):
    return [(x + y) / 2 for x, y in zip(a, b, strict=True)]


def words_reference(weights, tokens):  # eq. 4
    steps = weights["word_embedding.weight"][tokens].tolist()
    forward = gru_reference(weights, "word_encoder", steps, "")
    backward = gru_reference(weights, "word_encoder", steps[::-1], "_reverse")[::-1]
    return [average(a, b) for a, b in zip(forward, backward, strict=True)]


def path_reference(weights, tokens):  # eq. 5
    steps = weights["word_embedding.weight"][tokens].tolist()
    forward = gru_reference(weights, "path_encoder", steps, "")
    backward = gru_reference(weights, "path_encoder", steps[::-1], "_reverse")
    return average(forward[-1], backward[-1])


def geometry(box):
    x1, y1, x2, y2 = box
    return [x1, y1, x2, y2, x2 - x1, y2 - y1, (x2 - x1) * (y2 - y1)]


def image_reference(weights, graph):  # eq. 1 to 3
    boxes = graph["object"].box.double().tolist()
    names = weights["object_embedding.weight"][graph["object"].label].tolist()
    predicates = weights["predicate_embedding.weight"][graph["relation"].label].tolist()
    subject = graph["object", "subject_of", "relation"].edge_index[0].tolist()
    object = graph["relation", "has_object", "object"].edge_index[1].tolist()

    def fuse(look, name):
        return [math.tanh(v) for v in dense(weights, "fusion.lin", look + name)]

    x = [fuse(geometry(box), name) for box, name in zip(boxes, names, strict=True)]
    r = []
    for s, o, name in zip(subject, object, predicates, strict=True):
        union = [min(boxes[s][k], boxes[o][k]) for k in (0, 1)]
        union += [max(boxes[s][k], boxes[o][k]) for k in (2, 3)]
        r.append(fuse(geometry(union), name))
    relations = [
        [math.tanh(v) for v in dense(weights, "convs.0.lin_relation", x[s] + u + x[o])]
        for s, u, o in zip(subject, r, object, strict=True)
    ]
    objects = [[math.tanh(v) for v in dense(weights, "convs.0.lin_object", u)] for u in x]
    return objects, relations


def level_reference(queries, candidates):  # eq. 6 and 7
    if not queries or not candidates:
        return 0.0
    best = [max(sum(a * b for a, b in zip(q, c, strict=True)) for c in candidates) for q in queries]
    return sum(best) / len(best)


def test_sgm_follows_the_paper():
    model, pairs = build()
    weights = model.state_dict()
    scores = scores_of(model, pairs.images, pairs.texts)
    for j in range(len(pairs.texts)):
        text = pairs.texts[j]
        words = words_reference(weights, text["word"].token)
        node_words = text["object"].token.split(text["object"].length.tolist())
        predicate_words = text["relation"].token.split(text["relation"].length.tolist())
        subject = text["object", "subject_of", "relation"].edge_index[0].tolist()
        object = text["relation", "has_object", "object"].edge_index[1].tolist()
        paths = [
            path_reference(weights, torch.cat([node_words[s], predicate, node_words[o]]))
            for s, predicate, o in zip(subject, predicate_words, object, strict=True)
        ]
        for i in range(len(pairs.images)):
            objects, relations = image_reference(weights, pairs.images[i])
            expected = level_reference(words, objects) + level_reference(paths, relations)
            assert scores[i, j].item() == pytest.approx(expected, abs=1e-12)


def test_triplet_paths_read_subject_predicate_object():
    pairs, vocabularies = edge_cases()
    token, ptr = triplet_paths(pairs.texts.batch())
    paths = [
        " ".join(map(vocabularies.words.word, p.tolist())) for p in token.split(ptr.diff().tolist())
    ]
    assert paths == ["man in hat", "man ride horse", "man on top of horse"]


def test_levels_add_up_to_the_score():
    model, pairs = build(**ADDITIONS)
    image = model.encode_image(pairs.images.batch())
    text = model.encode_text(pairs.texts.batch())
    levels = model.levels(image, text)
    assert list(levels) == ["object", "reverse", "relation", "global"]
    torch.testing.assert_close(sum(levels.values()), model.score(image, text))
    # Texts 1 to 3 have no triplet, images 1 to 3 no relation: the relation level is silent.
    assert levels["relation"][:, 1:4].abs().max() == 0
    assert levels["relation"][1:].abs().max() == 0
    assert levels["relation"][0, [0, 4]].abs().min() > 0


@torch.no_grad()
def test_additions_by_hand():
    model, pairs = build(**ADDITIONS)
    image = model.encode_image(pairs.images.batch([0]))
    text = model.encode_text(pairs.texts.batch([0]))
    levels = {name: float(value) for name, value in model.levels(image, text).items()}
    x, y = image.objects.x, text.objects.x
    ones = torch.ones(len(x) + len(y)).double()
    torch.testing.assert_close(torch.cat([x, y]).norm(dim=1), ones)
    word_weights, object_weights = text.object_weights.x, image.object_weights.x
    torch.testing.assert_close(word_weights.sum(), ones[0])
    torch.testing.assert_close(object_weights.sum(), ones[0])
    cosine = [[float(a @ b) for b in y] for a in x]
    words = sum(float(w) * max(row[t] for row in cosine) for t, w in enumerate(word_weights))
    objects = sum(float(w) * max(cosine[i]) for i, w in enumerate(object_weights))
    assert levels["object"] == pytest.approx(words)
    assert levels["reverse"] == pytest.approx(objects)
    assert levels["global"] == pytest.approx(float(image.summary[0] @ text.summary[0]))


@torch.no_grad()
def test_some_training_batches_are_scored_without_relations():
    model, pairs = build(relation_dropout=0.5, **ADDITIONS)
    image = model.encode_image(pairs.images.batch())
    text = model.encode_text(pairs.texts.batch())
    levels = model.levels(image, text)
    whole = sum(levels.values())
    without = whole - levels["relation"]
    torch.testing.assert_close(model.score(image, text), whole)  # never outside training
    model.train()
    torch.manual_seed(0)
    scores = [model.score(image, text) for _ in range(400)]
    dropped = sum(bool((s - without).abs().max() < 1e-9) for s in scores)
    kept = sum(bool((s - whole).abs().max() < 1e-9) for s in scores)
    assert dropped + kept == 400
    assert 150 < dropped < 250


@torch.no_grad()
def test_summaries_pool_objects_and_words_alone():
    model, pairs = build(**ADDITIONS)
    batch = pairs.images.batch([0])
    whole = model.encode_image(batch).summary
    batch["relation"].label = torch.zeros_like(batch["relation"].label)
    torch.testing.assert_close(model.encode_image(batch).summary, whole)


@pytest.mark.parametrize("options", [{}, ADDITIONS], ids=["paper", "additions"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_properties_of_every_variant(variant, options):
    model, pairs = build(variant, **options)
    assert_graph_order_invariant(model, pairs.images, pairs.texts, tol=1e-10)
    assert_batch_invariant(model, pairs.images, pairs.texts, tol=1e-10)
    assert_node_order_invariant(model, pairs.images, pairs.texts, tol=1e-10)
    scores = scores_of(model, pairs.images, pairs.texts)
    assert scores.isfinite().all()


@pytest.mark.parametrize("options", [{}, ADDITIONS], ids=["paper", "additions"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_are_finite_on_empty_graphs(variant, options):
    model, pairs = build(variant, **options)
    image = model.encode_image(pairs.images.batch())
    text = model.encode_text(pairs.texts.batch())
    model.score(image, text).sum().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads
    assert all(grad.isfinite().all() for grad in grads)


def test_relations_only_matter_where_the_variant_has_them():
    def changed(variant, side):
        model, pairs = build(variant)
        graphs = [getattr(pairs, side)[i] for i in range(len(getattr(pairs, side)))]
        for graph in graphs:  # the other way round
            s, o = ("object", "subject_of", "relation"), ("relation", "has_object", "object")
            subject, object = graph[s].edge_index[0].clone(), graph[o].edge_index[1].clone()
            graph[s].edge_index[0], graph[o].edge_index[1] = object, subject
        swapped = GraphCollection.from_graphs(graphs)
        sides = {"images": pairs.images, "texts": pairs.texts}
        before = scores_of(model, **sides)
        return not torch.allclose(before, scores_of(model, **(sides | {side: swapped})))

    assert changed("sgm", "images")
    assert changed("sgm", "texts")
    assert changed("oom-vrel", "images")
    assert not changed("oom-vrel", "texts")
    assert changed("oom-trel", "texts")
    assert not changed("oom-trel", "images")
    assert not changed("oom", "images")
    assert not changed("oom", "texts")


def test_words_without_context_ignore_their_order():
    for variant, ordered in [("oom-no-context", False), ("oom", True)]:
        model, pairs = build(variant)
        batch = pairs.texts.batch([0])
        before = model.score(model.encode_image(pairs.images.batch()), model.encode_text(batch))
        batch["word"].token = batch["word"].token.flip(0)
        after = model.score(model.encode_image(pairs.images.batch()), model.encode_text(batch))
        assert torch.allclose(before, after) != ordered


def test_region_features():
    pairs, vocabularies = edge_cases()
    model = SGM(sizes_of(vocabularies, features=3), dim=6, hidden=5, embed=4)
    batch = pairs.images.batch()
    with pytest.raises(ValueError, match=r"object\.x: 0 features, the model has 3"):
        model.encode_image(batch)
    batch["object"].x = torch.rand(batch["object"].num_nodes, 3)
    without = model.encode_image(batch)  # relations look like the mean of their objects
    subject = batch["object", "subject_of", "relation"].edge_index[0]
    object = batch["relation", "has_object", "object"].edge_index[1]
    batch["relation"].x = (batch["object"].x[subject] + batch["object"].x[object]) / 2
    assert torch.equal(model.encode_image(batch).relations.x, without.relations.x)


def test_candidate_pairs_of_graphs_without_features_are_read_by_their_boxes():
    options = {"fusion": "sum", "normalize": True, "null_temperature": 0.05, "global_dim": 4}
    model, pairs = build(**options)
    model.float().eval()
    assert_batch_invariant(model, pairs.images, pairs.texts, tol=1e-5)
    scores = scores_of(model, pairs.images, pairs.texts)
    assert scores.isfinite().all()
    batch = pairs.images.batch()
    before = model.encode_image(batch)
    batch["object"].box = batch["object"].box / 2
    after = model.encode_image(batch)
    assert not torch.allclose(before.objects.x, after.objects.x)
    assert not torch.allclose(before.relations.x, after.relations.x)


def test_images_without_features_need_boxes():
    model, pairs = build()
    batch = pairs.images.batch()
    del batch["object"].box
    with pytest.raises(ValueError, match="neither region features nor boxes"):
        model.encode_image(batch)


def test_unknown_variant():
    with pytest.raises(ValueError, match="variant 'x'; known: sgm"):
        build("x")


def test_config_rebuilds_the_model():
    model, pairs = build("oom-vrel", **ADDITIONS)
    again = SGM(model.sizes, **model.config).double().eval()
    again.load_state_dict(model.state_dict())
    before = scores_of(model, pairs.images, pairs.texts)
    assert torch.equal(before, scores_of(again, pairs.images, pairs.texts))


def test_encodings_select_and_join():
    model, pairs = build(**ADDITIONS)
    text = model.encode_text(pairs.texts.batch())
    parts = [text.select(torch.tensor([0, 1])), text.select(torch.tensor([2, 3, 4]))]
    joined = SGMEncoding.cat(parts)
    assert len(joined) == len(text) == 5
    assert torch.equal(joined.objects.x, text.objects.x)
    assert torch.equal(joined.objects.ptr, text.objects.ptr)
    assert torch.equal(joined.object_weights.x, text.object_weights.x)
    assert torch.equal(joined.summary, text.summary)


def test_init_embeddings_copies_what_was_found():
    model, _ = build()
    rows = len(model.object_embedding.weight)
    before = model.object_embedding.weight.clone()
    found = torch.zeros(rows, dtype=torch.bool)
    found[1] = True
    model.init_embeddings(objects=(torch.ones(rows, 4), found))
    assert torch.equal(model.object_embedding.weight[1], torch.ones(4).double())
    assert torch.equal(model.object_embedding.weight[2:], before[2:])
    with pytest.raises(ValueError, match="do not fit the embedding"):
        model.init_embeddings(objects=(torch.ones(rows, 3), found))


def test_attributes_are_further_names() -> None:
    """An object's name is its label's embedding and the mean of those of its attributes."""
    model, pairs = build(attributes=True)
    plain, _ = build()
    batch = pairs.batch().image
    assert batch["attribute"].num_nodes > 1
    owner = batch["attribute", "describes", "object"].edge_index[1].tolist()
    of_label = model.object_embedding.weight[batch["object"].label].detach().clone()
    own = [[] for _ in range(len(of_label))]
    for node, i in enumerate(owner):
        own[i].append(model.attribute_embedding.weight[batch["attribute"].label[node]])
    for i, rows in enumerate(own):
        if rows:
            of_label[i] += sum(rows) / len(rows)
    assert torch.allclose(model._names(batch), of_label)
    assert torch.equal(plain._names(batch), plain.object_embedding(batch["object"].label))
    assert model.embeddings()["attributes"] is model.attribute_embedding
    graphs = pairs.images, pairs.texts
    found = scores_of(model, *graphs) - scores_of(plain, *graphs)
    assert found.abs().max() > 1e-6
    assert_graph_order_invariant(model, *graphs)
    assert_node_order_invariant(model, *graphs)
