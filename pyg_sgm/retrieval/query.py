"""What is searched for: sentences, graphs and photos, what must not be there, and weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as short
from typing import Any, TypeAlias

from pyg_sgm.data import TextRecord
from pyg_sgm.data.words import find_words
from pyg_sgm.retrieval.encoded import EncodedImages
from pyg_sgm.retrieval.exclusions import Exclusion, exclusion_records, wanted_and_excluded
from pyg_sgm.retrieval.inputs import ImageInput, is_image
from pyg_sgm.retrieval.query_json import (
    fields_of,
    image_to_json,
    list_of,
    text_from_json,
    text_to_json,
)
from pyg_sgm.text import ParsedCaption, graph_record, parse, parse_batch
from pyg_sgm.text.words import noun_lemma, verb_lemma

Triplet: TypeAlias = "tuple[int | str, str, int | str]"
#: One thing that is searched for; a string is a sentence, a path is a photo.
QueryPart: TypeAlias = (
    "str | TextRecord | Query | Mapping[str, Any] | tuple[str, str, str] | Path | ImageInput | "
    "EncodedImages"
)


@dataclass(frozen=True)
class Query:
    r"""What is searched for, made of what users write by :meth:`of` and :meth:`graph`. An image
    :math:`v` scores

    .. math:: S(v) = \frac{1}{n} \sum_{i = 1}^{n} s(v, t_i) - \sum_{e} \max(0, s(v, e))

    with the wanted parts :math:`t_i`, texts and images, and the excluded texts :math:`e`: what
    matches one pays, what does not earns nothing.

    Args:
        texts (tuple of TextRecord, optional): Wanted texts. (default: :obj:`()`)
        images (tuple, optional): Wanted images, each in the place of a text: a path, pixels, a
            record, or one encoded image. (default: :obj:`()`)
        exclude (tuple of TextRecord, optional): What must not be there. (default: :obj:`()`)
        weights (dict, optional): Factors of words of the texts, at least 0, for models that weigh
            words (:meth:`pyg_sgm.models.Matcher.weigh`). A word stands for its other forms too,
            as ``"ride"`` for "riding". (default: :obj:`{}`)

    Raises:
        ValueError: If nothing is searched for; or naming the word, if its factor is none or no text
            has it.

    Example:
        >>> query = Query.of("a man without a hat", weights={"man": 2})
        >>> query.texts[0].caption, [text.caption for text in query.exclude]
        ('a man', ['hat'])
        >>> Query.graph([("man", "ride", "horse")], [("man", "old")]).texts[0].caption
        'old man ride horse'
    """

    texts: tuple[TextRecord, ...] = ()
    images: tuple[Any, ...] = ()
    exclude: tuple[TextRecord, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.texts or self.images or self.exclude):
            raise ValueError("query: there is nothing to search for")
        known = {form for text in self.texts for word in text.words for form in word_forms(word)}
        for word, factor in self.weights.items():
            if isinstance(factor, bool) or not isinstance(factor, (int, float)):
                raise ValueError(f"query: weights: {word!r}: expected a number, got {factor!r}")
            if not 0 <= factor < math.inf:
                raise ValueError(f"query: weights: {word!r}: must be at least 0, got {factor}")
            if word not in known:
                raise ValueError(f"query: weights: {word!r} is no word of the query's texts")

    @classmethod
    def of(
        cls,
        value: QueryPart | Sequence[QueryPart],
        *,
        exclude: Exclusion | Sequence[Exclusion] = (),
        weights: Mapping[str, float] | None = None,
    ) -> Query:
        """A query of what users write.

        Args:
            value (QueryPart or list of QueryPart): A sentence (a string is one), of which what it
                denies ("without a hat") is excluded; a text record; a triplet of strings, all of
                which make one graph; a photo as a ``Path``, pixels, an image record or one encoded
                image; a dict of :meth:`from_json`; or a list of these, which is all of them.
            exclude (list, optional): Further exclusions, see :meth:`graph`. (default: none)
            weights (dict, optional): Factors of words, beside those of ``value``. (default: none)

        Raises:
            ValueError: If it is something else, a sentence has no word, or as the class and
                :meth:`from_json`.

        Example:
            >>> query = Query.of(["a man on a beach", ("man", "ride", "horse")], exclude="hat")
            >>> [text.caption for text in query.texts]
            ['man ride horse', 'a man on a beach']
        """
        query = _query(value, "query")
        return cls(
            query.texts,
            query.images,
            (*query.exclude, *exclusion_records(exclude, "query: exclude")),
            {**query.weights, **_by_word(weights or {})},
        )

    @staticmethod
    def of_sentences(sentences: Sequence[str]) -> list[Query]:
        """A query of each sentence, as :meth:`of` makes it; all are parsed together.

        Args:
            sentences (list of str): The sentences.

        Example:
            >>> [len(query.exclude) for query in Query.of_sentences(["a man", "no dogs"])]
            [0, 1]
        """
        return [_of_sentence(parsed) for parsed in parse_batch(sentences)]

    @classmethod
    def graph(
        cls,
        triplets: Sequence[Triplet] = (),
        attributes: Sequence[tuple[int | str, str]] = (),
        objects: Sequence[str] = (),
        exclude: Exclusion | Sequence[Exclusion] = (),
    ) -> Query:
        """A query of a graph.

        Args:
            triplets (list of tuple, optional): (subject, predicate, object), each end a name, or an
                index into ``objects`` where several have one name. (default: none)
            attributes (list of tuple, optional): (object, attribute). (default: none)
            objects (list of str, optional): Names of objects. (default: those that the others name)
            exclude (list, optional): What must not be there, each a sentence such as ``"hat"``, a
                record, a pair (object, attribute), or a triplet such as ``("man", "wear",
                "hat")``. (default: none)

        Raises:
            ValueError: Naming the field, if it is not what it should be.
        """
        texts: tuple[TextRecord, ...] = ()
        if triplets or attributes or objects:
            texts = (graph_record(triplets, attributes, objects, id="query"),)
        return cls(texts, exclude=exclusion_records(exclude, "query: exclude"))

    def to_json(self) -> dict[str, Any]:
        """The query as plain values, which :meth:`from_json` reads.

        Raises:
            ValueError: If an image is no file.
        """
        values = {
            "texts": [text_to_json(text) for text in self.texts],
            "images": [image_to_json(image) for image in self.images],
            "exclude": [text_to_json(text) for text in self.exclude],
            "weights": dict(self.weights),
        }
        return {name: value for name, value in values.items() if value}

    @classmethod
    def from_json(cls, value: Any) -> Query:
        """The query of plain values, as in a JSON file.

        Args:
            value (dict or str): ``"texts"``, a list of sentences or graphs; ``"exclude"``, likewise
                (also pairs and triplets of names); ``"images"``, a list of paths; ``"weights"``,
                factors of words. All are optional. A graph is a dict of ``"objects"`` (names),
                ``"attributes"`` (pairs of object and attribute) and ``"relations"`` (triplets),
                whose objects are indices or names. A string is a sentence.

        Raises:
            ValueError: Naming the field, if there is another, or one is not what it should be.

        Example:
            >>> query = Query.from_json({"texts": ["a man", {"objects": ["dog"]}]})
            >>> [text.caption for text in query.texts]
            ['a man', 'dog']
            >>> Query.from_json({"texts": [{"objects": ["dog"], "relations": [[0, "on", 4]]}]})
            Traceback (most recent call last):
            ValueError: text 'query: texts[0]': relation 0: object 4 is not there (1 objects)
        """
        if isinstance(value, str):
            return cls.of(value)
        values = fields_of(value, ("texts", "images", "exclude", "weights"), "query")
        texts, images, excluded = (
            list_of(values, name, "query") for name in ("texts", "images", "exclude")
        )
        for number, image in enumerate(images):
            if not isinstance(image, str):
                raise ValueError(f"query: images[{number}]: expected a path, got {short(image)}")
        weights = values.get("weights", {})
        if not isinstance(weights, Mapping):
            raise ValueError(f"query: weights: expected a dict, got {short(weights)}")
        parts = _joined(
            _query(text_from_json(text, where), where)
            for where, text in ((f"query: texts[{i}]", text) for i, text in enumerate(texts))
        )
        return cls(
            parts["texts"],
            tuple(Path(image) for image in images),
            (*parts["exclude"], *exclusion_records(excluded, "query: exclude")),
            _by_word(weights),
        )


def word_forms(word: str) -> set[str]:
    """The names by which weights know a word: itself, its singular, its infinitive.

    Args:
        word (str): A word of a text.

    Example:
        >>> sorted(word_forms("riding"))
        ['ride', 'riding']
    """
    return {word, noun_lemma(word), verb_lemma(word)}


def _of_sentence(parsed: ParsedCaption) -> Query:
    if not parsed.words:
        raise ValueError(f"query: {parsed.caption!r} has no word")
    texts, exclude = wanted_and_excluded(parsed)
    return Query(texts, exclude=exclude)


def _query(value: QueryPart | Sequence[QueryPart], where: str) -> Query:
    if isinstance(value, Query):
        return value
    if isinstance(value, str):
        return _of_sentence(parse(value))
    if isinstance(value, TextRecord):
        return Query((value,))
    if isinstance(value, Mapping):
        return Query.from_json(value)
    if isinstance(value, EncodedImages) or is_image(value):
        return Query(images=(value,))
    if isinstance(value, tuple) and _is_triplet(value):
        return Query.graph([value])
    if not isinstance(value, (list, tuple)) or not value:
        kind = "an empty list" if isinstance(value, (list, tuple)) else short(value)
        raise ValueError(
            f"{where}: expected a sentence, a text record, a photo, triplets, or a list of these, "
            f"got {kind}"
        )
    triplets = [part for part in value if _is_triplet(part)]
    others = [
        _query(part, f"{where}[{number}]")
        for number, part in enumerate(value)
        if not _is_triplet(part)
    ]
    return Query(**_joined([*([Query.graph(triplets)] if triplets else []), *others]))


def _joined(queries: Iterable[Query]) -> dict[str, Any]:
    """The parts of several queries."""
    parts = list(queries)
    return {
        "texts": tuple(text for query in parts for text in query.texts),
        "images": tuple(image for query in parts for image in query.images),
        "exclude": tuple(text for query in parts for text in query.exclude),
        "weights": {word: factor for query in parts for word, factor in query.weights.items()},
    }


def _is_triplet(value: object) -> bool:
    kinds = [type(part) for part in value] if isinstance(value, (list, tuple)) else []
    return kinds == [str, str, str]


def _by_word(weights: Mapping[Any, float]) -> dict[Any, float]:
    """The factors by words in the form that those of texts have."""
    return {find_words(w)[0] if isinstance(w, str) else w: f for w, f in weights.items()}
