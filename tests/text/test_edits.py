"""False captions by hand: words, graph and positions change together."""

import pytest

from pyg_sgm.data import TextRecord, text_record
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.text import EDITS, EditKind, edit_texts, parse

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


@pytest.mark.parametrize("kind", EDITS)
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


def test_no_such_edit() -> None:
    with pytest.raises(ValueError, match="kind"):
        edit_texts([], [], "reversed")  # type: ignore[arg-type]
