"""False captions by hand: words, graph and positions change together."""

from random import Random

import pytest

from pyg_sgm.data import TextRecord, Vocabulary, pack_texts, text_record, validate
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.text import (
    EDITS,
    EditKind,
    edit_texts,
    make_edits,
    parse,
    reversible_pairs,
)
from pyg_sgm.text.edits.located import locate
from pyg_sgm.text.edits.paraphrase import paraphrase

RIDE = {"object": [[2], [6]], "attribute": [[1], [5]], "relation": [[3]]}


def rider() -> TextRecord:
    return text_record(
        "a young man rides the brown horse",
        ["man", "horse"],
        [(0, "young"), (1, "brown")],
        [(0, "ride", 1)],
        RIDE,
    )


def swap(text: TextRecord | str) -> TextRecord | None:
    record = parse(text).to_record() if isinstance(text, str) else text
    return edit_texts([record], [0], "swapped_relation").get(0)


def triplets(text: TextRecord) -> set[tuple[str, str, str]]:
    return {(text.objects[s], p, text.objects[o]) for s, p, o in text.relations}


def attributes(text: TextRecord) -> set[tuple[str, str]]:
    return {(text.objects[o], label) for o, label in text.attributes}


def check_spans(text: TextRecord) -> None:
    """The positions of a record of lemmas point at words that begin as the lemmas do."""
    assert text.spans is not None
    phrases = {
        "object": text.objects,
        "attribute": [label for _, label in text.attributes],
        "relation": [label for _, label, _ in text.relations],
    }
    for node, names in phrases.items():
        for name, span in zip(names, text.spans[node], strict=True):
            for at in span:
                assert text.words[at][0] in {word[0] for word in name.split()}, (name, at)


def test_a_swap_takes_determiners_and_adjectives_along() -> None:
    false = swap(rider())
    assert false is not None
    assert false.caption == "the brown horse rides a young man"
    assert false.caption == " ".join(false.words)
    assert triplets(false) == {("horse", "ride", "man")}
    assert attributes(false) == {("man", "young"), ("horse", "brown")}
    assert false.spans == {"object": [[6], [2]], "attribute": [[5], [1]], "relation": [[3]]}


def test_what_stands_beside_a_noun_is_said_of_the_other_after_a_swap() -> None:
    text = text_record(
        "a man in a hat rides a horse",
        ["man", "hat", "horse"],
        relations=[(0, "ride", 2), (0, "in", 1)],
        spans={"object": [[1], [4], [7]], "relation": [[5], [2]]},
    )
    seen = {}
    for seed in range(8):
        false = edit_texts([text], [0], "swapped_relation", seed)[0]
        seen[false.caption] = triplets(false)
    assert seen == {
        "a horse in a hat rides a man": {("horse", "ride", "man"), ("horse", "in", "hat")},
        "a hat in a man rides a horse": {("hat", "ride", "horse"), ("hat", "in", "man")},
    }


def test_two_subjects() -> None:
    text = text_record(
        "a man and a woman ride a horse",
        ["man", "woman", "horse"],
        relations=[(0, "ride", 2), (1, "ride", 2)],
        spans={"object": [[1], [4], [7]], "relation": [[5], [5]]},
    )
    captions = {}
    for seed in range(8):
        false = edit_texts([text], [0], "swapped_relation", seed)[0]
        captions[false.caption] = triplets(false)
    assert captions["a horse and a woman ride a man"] == {
        ("horse", "ride", "man"),
        ("woman", "ride", "man"),
    }


def test_passive() -> None:
    false = swap("a cat is chased by a black dog")
    assert false is not None
    assert false.caption == "a black dog is chased by a cat"


@pytest.mark.parametrize(
    "caption",
    [
        "a man next to a horse",  # means the same
        "a man with a horse",
        "a man stands near a horse",
        "a dog chases a dog",  # the same noun
        "a dog chases another dog",
        "a dog chases a cat while the dog barks",  # said twice
        "a man rides his horse",  # somebody's
        "two men are riding a horse",  # "a horse are riding two men"
        "two men ride a horse",
        "a man",
        "",
    ],
)
def test_left_alone(caption: str) -> None:
    assert swap(caption) is None


def test_swap_without_positions() -> None:
    text = text_record("a man rides a horse", relations=[("man", "ride", "horse")])
    false = swap(text)
    assert false is not None
    assert false.caption == "a horse rides a man"
    assert triplets(false) == {("horse", "ride", "man")}
    assert false.spans is None


def corpus(*captions: str, times: int = 2) -> tuple[list[TextRecord], list[int]]:
    """Captions of one image each, and before them those that make words frequent."""
    records = [parse(caption).to_record(caption) for caption in captions for _ in range(times)]
    return records, list(range(len(records)))


def test_another_predicate_of_the_same_form() -> None:
    texts, images = corpus(
        "a man riding a horse",
        "a woman feeding a horse",
        "a man on a horse",
        "a man leads a horse",
        "a man pulling a sled",
    )
    false = edit_texts(texts, images, "replaced_predicate")
    assert false[0].caption == "a man feeding a horse"
    assert triplets(false[0]) == {("man", "feed", "horse")}
    check_spans(false[0])
    assert {texts[i].caption for i in false} == {"a man riding a horse", "a woman feeding a horse"}


def test_longer_and_shorter_predicates_move_the_words_behind_them() -> None:
    texts, images = corpus("a man feeding a brown horse", "a man sitting on a horse")
    false = edit_texts(texts, images, "replaced_predicate")
    assert false[0].caption == "a man sitting on a brown horse"
    assert false[2].caption == "a man feeding a horse"
    for i in (0, 2):
        check_spans(false[i])


def test_predicates_that_hold_are_no_replacement() -> None:
    texts, _ = corpus("a man riding a horse", "a woman feeding a horse")
    assert not edit_texts(texts, [0] * len(texts), "replaced_predicate")
    texts, images = corpus("a dog chasing a cat", "a dog following a cat")  # synonyms
    assert not edit_texts(texts, images, "replaced_predicate")
    texts, images = corpus("a dog in grass", "a dog on grass", "a dog sitting on grass")
    assert not edit_texts(texts, images, "replaced_predicate")


def test_rare_words_replace_nothing() -> None:
    texts, images = corpus("a man riding a horse", "a woman feeding a horse", times=1)
    assert not edit_texts(texts, images, "replaced_predicate")


def test_another_attribute_of_the_same_sort() -> None:
    texts, images = corpus("a red car", "an orange car", "a big car", "an old car")
    false = edit_texts(texts, images, "replaced_attribute")
    assert false[0].caption == "an orange car"
    assert attributes(false[0]) == {("car", "orange")}
    assert false[2].caption == "a red car"
    assert {texts[i].caption for i in false} == {"a red car", "an orange car"}


def test_an_attribute_of_two_objects_is_replaced_in_both() -> None:
    text = text_record(
        "red cars and vans", ["car", "van"], [(0, "red"), (1, "red")],
        spans={"object": [[1], [3]], "attribute": [[0], [0]], "relation": []},
    )  # fmt: skip
    texts, images = corpus("orange cars", "orange vans")
    false = edit_texts([text, *texts], [9, *images], "replaced_attribute")[0]
    assert false.caption == "orange cars and vans"
    assert attributes(false) == {("car", "orange"), ("van", "orange")}


def test_attributes_that_hold_are_no_replacement() -> None:
    texts, _ = corpus("a red car", "an orange car")
    assert not edit_texts(texts, [0] * len(texts), "replaced_attribute")
    texts, images = corpus("a grey car", "a silver car", "a large car", "a big car")
    assert not edit_texts(texts, images, "replaced_attribute")


def test_numbers() -> None:
    texts, images = corpus("two dogs", "three dogs")
    false = edit_texts(texts, images, "replaced_attribute")[0]
    assert false.caption == "three dogs"
    assert attributes(false) == {("dog", "3")}


REVERSIBLE = frozenset({("man", "woman"), ("boy", "girl"), ("cat", "dog"), ("girl", "man")})


@pytest.mark.parametrize("kind", ["swapped_relation", "replaced_predicate", "replaced_attribute"])
def test_scene_world(kind: EditKind) -> None:
    world = SceneWorld("test", num_images=100, captions_per_image=3, feature_dim=0)
    images = world.image_of_text.tolist()
    false = edit_texts(world.texts, images, kind)
    assert len(false) > 50
    assert false == edit_texts(world.texts, images, kind)
    if kind != "swapped_relation":  # few captions leave a choice
        assert false != edit_texts(world.texts, images, kind, seed=1)
    for i, edited in false.items():
        true = world.texts[i]
        assert edited.id == true.id
        assert edited.caption != true.caption
        if kind == "swapped_relation":
            assert sorted(edited.words) == sorted(true.words)
        same = (triplets(edited) == triplets(true), attributes(edited) == attributes(true))
        assert same == (kind == "replaced_attribute", kind != "replaced_attribute")
        check_spans(edited)


@pytest.mark.parametrize("kind", EDITS)
def test_every_kind_is_sound(kind: EditKind) -> None:
    """Graphs and positions fit their words, of the true side as well, and seeds repeat."""
    world = SceneWorld("test", num_images=100, captions_per_image=3, feature_dim=0)
    images = world.image_of_text.tolist()
    pairs = reversible_pairs(world.texts, least=1, ratio=100)
    edits = make_edits(world.texts, images, kind, reversible=pairs)
    assert edits == make_edits(world.texts, images, kind, reversible=pairs)
    assert bool(edits) == (kind != "replaced_count")  # this world does not count
    words = Vocabulary([])
    for edit in edits:
        assert edit.true != edit.false
        for text in (edit.true, edit.false):
            check_spans(text)
            assert text.id == world.texts[edit.index].id
            validate(pack_texts([text], words)[0])


def test_reversible_pairs_need_both_directions() -> None:
    def said(count: int, *triplet: str) -> list[TextRecord]:
        return [text_record(" ".join(triplet), relations=[triplet])] * count

    texts = [
        *said(15, "dog", "chases", "cat"), *said(5, "cat", "watches", "dog"),
        *said(16, "man", "feeds", "bird"), *said(5, "bird", "watches", "man"),  # over three times
        *said(9, "boy", "pushes", "girl"), *said(4, "girl", "pushes", "boy"),  # under five
        *said(9, "cow", "near", "goat"), *said(9, "goat", "near", "cow"),  # holds both ways
        *said(9, "man", "rides", "horses"),
    ]  # fmt: skip
    assert reversible_pairs(texts) == {("cat", "dog")}
    assert reversible_pairs(texts, least=4) == {("cat", "dog"), ("boy", "girl")}
    assert reversible_pairs(texts, ratio=4) == {("cat", "dog"), ("bird", "man")}


def test_swaps_of_reversible_pairs_alone() -> None:
    captions = ["a boy pushes a girl", "a man rides a horse", "a dog chases a cat near a girl"]
    texts = [parse(caption).to_record() for caption in captions]
    false = edit_texts(texts, [0, 1, 2], "swapped_reversible", reversible=REVERSIBLE)
    assert false[0].caption == "a girl pushes a boy"
    assert set(false) == {0, 2}
    assert false[2].caption.startswith("a cat chases a dog")
    with pytest.raises(ValueError, match="reversible_pairs"):
        edit_texts(texts, [0, 1, 2], "swapped_reversible")


def test_counts() -> None:
    texts, images = corpus("two red cars", "three cars", "a blue car", "four cars")
    false = edit_texts(texts, images, "replaced_count")
    assert {texts[i].caption for i in false} == {"two red cars", "three cars", "four cars"}
    assert false[0].caption in ("three red cars", "four red cars")
    assert ("car", "red") in attributes(false[0])
    assert false[0].spans is not None
    assert false[0].words[false[0].spans["attribute"][0][0]] in ("three", "four")


def test_another_object_of_the_same_predicate() -> None:
    texts, images = corpus(
        "A man rides a brown horse on a beach.", "a man rides a bike", "a dog on a beach",
        "a man rides a bicycle", "two men ride horses", "a woman rides her elephant",
    )  # fmt: skip
    seen = set()
    for seed in range(8):
        false = edit_texts(texts, images, "replaced_object", seed)
        check_spans(false[0])
        assert attributes(false[0]) <= {("bike", "brown"), ("bicycle", "brown"), ("horse", "brown")}
        assert 2 not in false or "bicycle" not in false[2].caption  # another word for it
        seen.add(false[0].caption)
    # Not "horses", nor the elephant, which stands behind no article; persons are one kind.
    assert seen == {
        "A man rides a brown bike on a beach.",
        "A man rides a brown bicycle on a beach.",
        "A dog rides a brown horse on a beach.",
    }
    together = [0] * len(texts)
    assert not edit_texts(texts, together, "replaced_object")


def test_attributes_of_two_objects_exchanged() -> None:
    texts, images = corpus(
        "A red dog chases an orange cat.", "a brown dog bites a white dog",
        "a black and white dog with a white ball", "a big dog with a red ball",
        "a brown dog and a white dog", "two dogs and three cats", times=1,
    )  # fmt: skip
    false = edit_texts(texts, images, "swapped_attribute")
    assert {i: text.caption for i, text in false.items()} == {
        0: "An orange dog chases a red cat.",
        1: "a white dog bites a brown dog",
    }
    assert attributes(false[0]) == {("dog", "orange"), ("cat", "red")}
    assert triplets(false[0]) == triplets(texts[0])
    for text in false.values():
        check_spans(text)
    # A word of two objects stays: "white" would leave the woman, too.
    shared = text_record(
        "a white man and woman feed a black dog",
        ["man", "woman", "dog"],
        [(0, "white"), (1, "white"), (2, "black")],
        spans={"object": [[2], [4], [8]], "attribute": [[1], [1], [7]], "relation": []},
    )
    assert not edit_texts([shared], [0], "swapped_attribute")
    # Another caption of the photo says it.
    texts.append(parse("an orange dog").to_record("0"))
    assert set(edit_texts(texts, [*images, 0], "swapped_attribute")) == {1}


def test_half_truths() -> None:
    texts, images = corpus(
        "A woman in a red hat feeds a big horse near a barn.", "a woman wearing a scarf",
        "a man on a bench", "a woman with a hat",
    )  # fmt: skip
    edits = {edit.index: edit for edit in make_edits(texts, images, "half_truth")}
    true, false = edits[0].true, edits[0].false
    assert true.caption in ("A woman in a red hat.", "A big horse near a barn.")
    assert true.caption == "A woman in a red hat."  # of horses nothing else is said
    assert false.caption == "A woman wearing a scarf in a red hat."  # and a hat is said here
    assert triplets(false) == triplets(true) | {("woman", "wear", "scarf")}
    assert attributes(true) == attributes(false) == {("hat", "red")}
    for text in (true, false):
        check_spans(text)
    # Nothing that another caption of the photo says: there is nothing left to add.
    together = [0 if "woman" in text.caption.lower() else 1 for text in texts]
    assert not any(e.index == 0 for e in make_edits(texts, together, "half_truth"))


def test_added_objects() -> None:
    texts, images = corpus("A man rides a horse.", "a man walks a dog", "a woman with a horse")
    false = edit_texts(texts, images, "added_object")
    assert false[0].caption == "A man rides a horse with a dog nearby."
    assert triplets(false[0]) == {("man", "ride", "horse"), ("man", "with", "dog")}
    check_spans(false[0])
    # Persons are one kind: "a woman" may be the man of another caption.
    assert all("woman nearby" not in text.caption for text in false.values())
    assert not edit_texts(texts, [0] * len(texts), "added_object")


def test_wordings_of_the_true_side() -> None:
    texts, images = corpus("a kid next to an elderly man riding a bike", "a girl leading a bike")
    texts.append(parse("a child with an old man").to_record("0"))
    images.append(0)
    own = make_edits(texts, images, "replaced_predicate")
    reworded = make_edits(texts, images, "replaced_predicate", wording="paraphrase")
    others = make_edits(texts, images, "replaced_predicate", wording="other")
    assert [edit.false for edit in own] == [edit.false for edit in reworded]
    assert own[0].true == texts[0]
    assert reworded[0].true.caption in (
        "a child next to an elderly man riding a bike",
        "a kid beside an elderly man riding a bike",
        "a kid next to an elderly man riding a bicycle",
    )
    assert others[0].true == texts[-1]
    with pytest.raises(ValueError, match="wording"):
        make_edits(texts, images, "replaced_predicate", wording="odd")  # type: ignore[arg-type]


def test_a_paraphrase_changes_graph_and_positions() -> None:
    text = parse("three kids next to an old bike").to_record()
    seen = set()
    for seed in range(40):
        edit = paraphrase(locate(text), Random(seed))
        assert edit is not None
        assert edit.spans is not None
        assert [edit.words[at] for at in edit.spans["relation"][0]] in (["next", "to"], ["beside"])
        assert edit.words[edit.spans["object"][1][0]] == edit.objects[1]
        seen.add((edit.caption, *triplets(edit)))
    assert seen == {
        ("three children next to an old bike", ("child", "next to", "bike")),
        ("three kids beside an old bike", ("kid", "beside", "bike")),
        ("three kids next to an old bicycle", ("kid", "next to", "bicycle")),
    }


def test_false_captions_are_spelt_as_the_true_ones() -> None:
    text = text_record(
        "The boy's dog chases a cat .", ["boy", "dog", "cat"], [], [(1, "chase", 2)],
        {"object": [[1], [3], [6]], "relation": [[4]], "attribute": []},
    )  # fmt: skip
    texts = [text, text, *[parse("a fox watching a cat").to_record()] * 2]
    texts[2:] = [parse("a dog watches a cat").to_record("x")] * 2
    false = edit_texts(texts, [0, 1, 2, 3], "replaced_predicate")[0]
    assert false.caption == "The boy's dog watches a cat."


def test_no_such_edit() -> None:
    with pytest.raises(ValueError, match="kind"):
        edit_texts([], [], "reversed")  # type: ignore[arg-type]
