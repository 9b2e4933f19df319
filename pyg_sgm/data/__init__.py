"""Scene graphs: schema, validation, vocabularies, batching, files."""

from pyg_sgm.data.build import image_graph, pack_images, pack_texts, text_graph
from pyg_sgm.data.collection import GraphCollection, Ragged, Rows, Spans
from pyg_sgm.data.pairs import PairBatch, PairedGraphs
from pyg_sgm.data.records import ImageRecord, TextRecord, image_record, text_record
from pyg_sgm.data.schema import validate
from pyg_sgm.data.vocabulary import Vocabularies, Vocabulary, tokenize
from pyg_sgm.data.word_vectors import read_word_vectors, word_vectors

__all__ = [
    "GraphCollection",
    "ImageRecord",
    "PairBatch",
    "PairedGraphs",
    "Ragged",
    "Rows",
    "Spans",
    "TextRecord",
    "Vocabularies",
    "Vocabulary",
    "image_graph",
    "image_record",
    "pack_images",
    "pack_texts",
    "read_word_vectors",
    "text_graph",
    "text_record",
    "tokenize",
    "validate",
    "word_vectors",
]
