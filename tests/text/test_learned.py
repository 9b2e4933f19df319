"""The learned parser as it is shipped, and its network."""

import pytest
import torch

from pyg_sgm.metrics.parser import parser_f1
from pyg_sgm.text import ParsedCaption, parse, parse_batch
from pyg_sgm.text.learned.builder import Lexicon
from pyg_sgm.text.learned.inference import LearnedParser
from pyg_sgm.text.learned.network import CaptionNetwork, Pairs, WordBatch, affixes
from tests.helpers.captions import CAPTIONS, MISREAD


def as_dict(graph):
    """What `str(ParsedCaption)` prints, back as lists of strings."""
    out = {"objects": [], "attributes": [], "relations": []}
    for part in graph.split("; "):
        subject, arrow, rest = part.partition(" -- ")
        if arrow:
            predicate, target = rest.split(" -> ")
            out["relations"].append((subject.split(":")[0], predicate, target.split(":")[0]))
            continue
        name, _, described = part.rstrip(")").partition(" (")
        out["objects"].append(name.split(":")[0])
        out["attributes"] += [(name, one) for one in described.split(", ") if one]
    return out


def test_hand_written_captions():
    """The rules' conventions are not FACTUAL's ("with", "in" for "wear"), so not every tuple is."""
    table = [*CAPTIONS, *MISREAD]
    predicted = parse_batch([caption for caption, _ in table])
    score = parser_f1(
        [as_dict(str(p).replace("\n", "; ")) for p in predicted],
        [as_dict(graph) for _, graph in table],
    )
    assert score.objects.f1 > 0.93
    assert score.all.f1 > 0.85


@pytest.mark.parametrize(
    ("caption", "graph"),
    [
        ("three brown horses", "horse (3, brown)"),
        ("a man rides a horse", "man; horse; man -- ride -> horse"),
        ("a lamp next to the bed", "lamp; bed; lamp -- next to -> bed"),
        ("the girl is smiling", "girl (smiling)"),
        ("the leg of the table", "leg; table; table -- have -> leg"),
        ("there is a cat on the table", "cat; table; cat -- on -> table"),
        ("a man in a hat", "man; hat; man -- wear -> hat"),
        ("dogs and cats on a sofa", "dog; cat; sofa; dog -- on -> sofa; cat -- on -> sofa"),
        ("a woman sitting on a bench", "woman; bench; woman -- sit on -> bench"),
        ("the guy on a surf board", "person; surfboard; person -- on -> surfboard"),
    ],
)
def test_plain_captions(caption, graph):
    assert str(parse(caption)).replace("\n", "; ") == graph


def test_a_batch_is_its_captions_one_by_one():
    captions = [caption for caption, _ in CAPTIONS]
    assert parse_batch(captions, batch_size=7) == [parse(caption) for caption in captions]


def test_spans_name_the_words_of_every_node():
    p = parse("two women are sitting on top of a red car")
    assert p.words[p.object_spans[0][0]] == "women"
    assert [p.words[at] for at in p.relation_spans[0]] == ["sitting", "on", "top", "of"]
    assert [p.words[at] for span in p.attribute_spans for at in span] == ["two", "red"]


def test_sentences_are_parsed_apart():
    p = parse("A dog on a mat. A cat on a chair.")
    assert str(p).split("\n")[-2:] == ["dog -- on -> mat", "cat -- on -> chair"]


def tiny():
    torch.manual_seed(0)
    network = CaptionNetwork(6, 4, 5, channels=8).eval()
    return LearnedParser(
        network,
        Lexicon(
            ["<unk>", "a", "dog", "runs", "cat", "on"], ["", "V", "on", "V on", "have"], {}, {}
        ),
    )


def test_saved_and_loaded_parsers_agree(tmp_path):
    parser = tiny()
    parser.save(tmp_path)
    loaded = LearnedParser.load(tmp_path)
    assert loaded.lexicon == parser.lexicon
    for name, weight in parser.network.state_dict().items():
        bound = weight.abs().amax() / 127 + 1e-6  # matrices are rounded to 8 bits
        torch.testing.assert_close(
            loaded.network.state_dict()[name], weight, atol=float(bound), rtol=0
        )
    again = LearnedParser.load(tmp_path)
    again.save(tmp_path / "again")
    assert (tmp_path / "again/parser.safetensors").read_bytes() == (
        tmp_path / "parser.safetensors"
    ).read_bytes()


def test_padding_changes_nothing():
    parser = tiny()
    short, long = ["a", "dog", "runs"], ["a", "dog", "on", "a", "cat", "on", "a", "dog"]
    index = {word: at for at, word in enumerate(parser.lexicon.words)}
    with torch.no_grad():
        alone = WordBatch.collate([short], [[0] * 3], index)
        padded = WordBatch.collate([short, long], [[0] * 3, [0] * 8], index)
        results = []
        for batch in (alone, padded):
            x, mask = parser.network(batch)
            objects = torch.zeros_like(mask)
            objects[0, 1:3] = True
            pairs = Pairs.between(objects, objects)
            feature, predicate = parser.network.relate(x, mask, objects, pairs)
            verb = parser.network.find_verbs(x, mask, feature, pairs)
            results.append((x[0, :3], predicate, verb))
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1])
    torch.testing.assert_close(results[0][2], results[1][2][:, :3])
    assert (results[1][2][:, 3:] < -1e8).all()


def test_pairs_are_the_ordered_pairs_of_each_caption():
    source = torch.tensor([[True, True, False], [False, True, True]])
    target = torch.tensor([[True, False, True], [False, True, False]])
    for itself in (False, True):
        pairs = Pairs.between(source, target, itself)
        found = set(
            zip(*(c.tolist() for c in (pairs.row, pairs.source, pairs.target)), strict=True)
        )
        assert found == {
            (row, s, t)
            for row in range(2)
            for s in range(3)
            for t in range(3)
            if source[row, s] and target[row, t] and (itself or s != t)
        }


def test_words_share_the_buckets_of_their_endings():
    assert affixes("riding")[-2:] == affixes("sliding")[-2:]
    assert affixes("a") != affixes("b")


def test_nothing_recognised_is_an_empty_graph():
    assert parse("", "learned") == ParsedCaption("")


def test_pairs_are_scored_in_parts_of_bounded_size(monkeypatch):
    from pyg_sgm.text.learned import inference

    captions = ["dogs and cats and " * 5 + "birds", "a dog", "", "a man on a horse near a tree"] * 3
    whole = parse_batch(captions)
    sizes = []
    describe = CaptionNetwork.relate

    def seen(self, x, mask, objects, pairs):
        sizes.append(len(pairs.row) * x.size(1))
        return describe(self, x, mask, objects, pairs)

    monkeypatch.setattr(CaptionNetwork, "relate", seen)
    monkeypatch.setattr(inference, "BUDGET", 4096)
    assert parse_batch(captions) == whole
    assert len(sizes) > 3
    assert max(sizes) <= 4096  # one caption of 11 nouns takes 2,541
