"""What a parser makes of a caption."""

from dataclasses import dataclass
from typing import Any

import networkx as nx
from torch_geometric.data import HeteroData

from pyg_sgm.data import TextRecord, Vocabulary, pack_texts
from pyg_sgm.text.words import noun_lemma

Span = tuple[int, ...]


def object_label(words: list[str]) -> str:
    """Name of the object that a phrase means: its words, the last one in the singular."""
    return " ".join([*words[:-1], noun_lemma(words[-1])])


@dataclass(frozen=True)
class ParsedCaption:
    """The scene graph of a caption.

    Two objects may carry the same name; attributes and relations name objects by their index, and
    every node keeps the indices of the words that it stands for (none where the caption only
    implies it).

    Args:
        caption (str): The caption as given.
        words (tuple, optional): Its words, lower case. (default: :obj:`()`)
        objects (tuple, optional): Names of the objects, nouns in the singular. (default: :obj:`()`)
        attributes (tuple, optional): Pairs (index of the object, attribute). (default: :obj:`()`)
        relations (tuple, optional): Triplets (index of the subject, predicate, index of the
            object). (default: :obj:`()`)
        object_spans (tuple, optional): Word indices of each object, ascending. (default: :obj:`()`)
        attribute_spans (tuple, optional): Word indices of each attribute. (default: :obj:`()`)
        relation_spans (tuple, optional): Word indices of each relation's predicate. (default:
            :obj:`()`)
        exclusions (tuple, optional): What the caption denies, in names: an object ``("people",)``,
            an attribute ``("dog", "black")`` or a relation ``("man", "wear", "hat")``. Nothing of
            it is among the objects, attributes and relations. (default: :obj:`()`)

    Example:
        >>> parsed = ParsedCaption(
        ...     "two dogs on snow", ("two", "dogs", "on", "snow"), ("dog", "snow"),
        ...     ((0, "2"),), ((0, "on", 1),), ((1,), (3,)), ((0,),), ((2,),))
        >>> print(parsed)
        dog (2)
        snow
        dog -- on -> snow
        >>> parsed.to_dict()["relations"]
        [['dogs', 'on', 'snow']]
    """

    caption: str
    words: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    attributes: tuple[tuple[int, str], ...] = ()
    relations: tuple[tuple[int, str, int], ...] = ()
    object_spans: tuple[Span, ...] = ()
    attribute_spans: tuple[Span, ...] = ()
    relation_spans: tuple[Span, ...] = ()
    exclusions: tuple[tuple[str, ...], ...] = ()

    def names(self) -> list[str]:
        """Names of the objects as the caption writes them, plurals kept."""
        names = []
        for label, span in zip(self.objects, self.object_spans, strict=True):
            words = [self.words[at] for at in span]
            names.append(" ".join(words) if words and object_label(words) == label else label)
        return names

    def to_dict(self) -> dict[str, Any]:
        """The graph as lists of strings, ready for JSON.

        Objects are written as the caption writes them: whoever compares graphs brings a lemmatizer
        along, and lemmatising twice is not lemmatising once ("weeds", "weed", "wee").

        Returns:
            The keys ``caption``, ``objects`` (names), ``attributes`` (pairs object, attribute),
            ``relations`` (triplets subject, predicate, object) and ``exclusions`` (what the caption
            denies: one name, a pair or a triplet).
        """
        names = self.names()
        return {
            "caption": self.caption,
            "objects": names,
            "attributes": [[names[at], attribute] for at, attribute in self.attributes],
            "relations": [[names[s], predicate, names[o]] for s, predicate, o in self.relations],
            "exclusions": [list(exclusion) for exclusion in self.exclusions],
        }

    def to_record(self, id: str = "") -> TextRecord:
        """The graph as the record from which collections of texts are packed.

        Args:
            id (str, optional): Name of the text. (default: :obj:`""`)
        """
        spans = {
            "object": self.object_spans,
            "relation": self.relation_spans,
            "attribute": self.attribute_spans,
        }
        return TextRecord(
            id, self.caption, self.words, self.objects, self.attributes, self.relations, spans
        )

    def to_graph(self, vocabulary: Vocabulary, id: str = "") -> HeteroData:
        """The text graph that the models take.

        Args:
            vocabulary (Vocabulary): Words to indices; unknown words become index 0.
            id (str, optional): Name of the graph. (default: :obj:`""`)

        Example:
            >>> parsed = ParsedCaption("a dog", ("a", "dog"), ("dog",), object_spans=((1,),))
            >>> graph = parsed.to_graph(Vocabulary(["dog"]))
            >>> graph["word"].token, graph["object"].label
            (tensor([0, 1]), tensor([1]))
        """
        return pack_texts([self.to_record(id)], vocabulary)[0]

    def to_networkx(self) -> nx.MultiDiGraph:
        """Objects as nodes with ``label`` and ``attributes``, relations as edges with ``label``."""
        graph = nx.MultiDiGraph(caption=self.caption)
        for at, label in enumerate(self.objects):
            described = [attribute for o, attribute in self.attributes if o == at]
            graph.add_node(at, label=label, attributes=described)
        for subject, predicate, target in self.relations:
            graph.add_edge(subject, target, label=predicate)
        return graph

    def __str__(self) -> str:
        shown = [
            label if self.objects.count(label) == 1 else f"{label}:{at}"
            for at, label in enumerate(self.objects)
        ]
        lines = []
        for at, name in enumerate(shown):
            described = ", ".join(attribute for o, attribute in self.attributes if o == at)
            lines.append(f"{name} ({described})" if described else name)
        lines += [f"{shown[s]} -- {predicate} -> {shown[o]}" for s, predicate, o in self.relations]
        lines += [f"not: {', '.join(exclusion)}" for exclusion in self.exclusions]
        return "\n".join(lines)
