"""A graph in words: what the encoders of words read where nobody wrote a sentence, or where it
says more than what it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyg_sgm.data import TextRecord, text_record
from pyg_sgm.data.records import phrase_words
from pyg_sgm.text.negation import negation_cues
from pyg_sgm.text.parsed_caption import ParsedCaption
from pyg_sgm.text.words import noun_lemma, verb_lemma


def graph_record(
    relations: Sequence[tuple[int | str, str, int | str]] = (),
    attributes: Sequence[tuple[int | str, str]] = (),
    objects: Sequence[str] = (),
    id: str = "",
) -> TextRecord:
    """The record of a graph without a sentence: its words are those of its nodes, each once, an
    object with its attributes where the first triplet names it.

    Args:
        relations (list of tuple, optional): (subject, predicate, object), each end an index into
            ``objects`` or a phrase, as :func:`~pyg_sgm.data.text_record` takes them. (default:
            none)
        attributes (list of tuple, optional): (object, phrase). (default: none)
        objects (list of str, optional): Phrases of objects. (default: those that the others name)
        id (str, optional): Name of the text. (default: :obj:`""`)

    Raises:
        ValueError: As :func:`~pyg_sgm.data.text_record`, or if the graph is empty.

    Example:
        >>> graph_record([("man", "ride", "horse"), ("man", "in", "hat")], [("man", "old")]).caption
        'old man ride horse in hat'
    """
    graph = text_record("", objects, attributes, relations, id=id)
    if not graph.objects:
        raise ValueError(f"text {id!r}: the graph is empty")
    words: list[str] = []
    object_spans: list[list[int]] = [[] for _ in graph.objects]
    attribute_spans: list[list[int]] = [[] for _ in graph.attributes]
    relation_spans: list[list[int]] = []

    def say(phrase: str) -> list[int]:
        words.extend(phrase_words(phrase))
        return list(range(len(words) - len(phrase_words(phrase)), len(words)))

    def name(i: int) -> None:
        if object_spans[i]:
            return
        for number, (owner, phrase) in enumerate(graph.attributes):
            if owner == i:
                attribute_spans[number] = say(phrase)
        object_spans[i] = say(graph.objects[i])

    def start(i: int) -> None:
        if words and not object_spans[i]:
            say("and")
        name(i)

    for subject, predicate, target in graph.relations:
        start(subject)
        relation_spans.append(say(predicate))
        name(target)
    for i in range(len(graph.objects)):
        start(i)
    spans = {"object": object_spans, "attribute": attribute_spans, "relation": relation_spans}
    return text_record(words, graph.objects, graph.attributes, graph.relations, spans, id)


def drop_denied_words(parsed: ParsedCaption) -> ParsedCaption:
    """A parsed caption without the words that deny something and those of what they deny, so that
    no word of it asks for what the caption excludes.

    Args:
        parsed (ParsedCaption): A parse; its exclusions stay.

    Example:
        >>> parsed = ParsedCaption(
        ...     "a man without a hat on a beach",
        ...     ("a", "man", "without", "a", "hat", "on", "a", "beach"), ("man", "beach"),
        ...     (), ((0, "on", 1),), ((1,), (7,)), (), ((5,),), (("man", "wear", "hat"),))
        >>> drop_denied_words(parsed).caption
        'a man on a beach'
    """
    if not parsed.exclusions:
        return parsed
    lemmas = {"one"} | {  # "not a blue one"
        lemma
        for exclusion in parsed.exclusions
        for word in " ".join(exclusion).split()
        for lemma in (noun_lemma(word), verb_lemma(word))
    }
    node_spans = (parsed.object_spans, parsed.attribute_spans, parsed.relation_spans)
    of_nodes = {at for spans in node_spans for span in spans for at in span}
    denied: set[int] = set()
    for cue in negation_cues(parsed.words):
        end = cue.at
        for at in range(cue.at + 1, len(parsed.words)):
            if at in of_nodes:
                break
            word = parsed.words[at]
            end = at if noun_lemma(word) in lemmas or verb_lemma(word) in lemmas else end
        denied |= set(range(cue.at, end + 1))
    kept = [at for at in range(len(parsed.words)) if at not in denied]
    place = {old: new for new, old in enumerate(kept)}
    words = tuple(parsed.words[at] for at in kept)
    objects, attributes, relations = (
        tuple(tuple(place[at] for at in span if at in place) for span in spans)
        for spans in node_spans
    )
    return replace(
        parsed,
        caption=" ".join(words),
        words=words,
        object_spans=objects,
        attribute_spans=attributes,
        relation_spans=relations,
    )
