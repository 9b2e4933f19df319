"""Scene graphs: schema, validation, vocabularies, batching, files."""

from pyg_sgm.data.boxes import turned_boxes
from pyg_sgm.data.build import image_graph, node_spans, pack_images, pack_texts, text_graph
from pyg_sgm.data.collection import GraphCollection
from pyg_sgm.data.convert import from_networkx, to_networkx
from pyg_sgm.data.factual import read_scene_graph
from pyg_sgm.data.features import open_feature_folder, open_npy
from pyg_sgm.data.pairs import EditedTexts, PairBatch, PairedGraphs
from pyg_sgm.data.ragged import Ragged, Rows, SharedRows, Spans
from pyg_sgm.data.records import ImageRecord, TextRecord, image_record, text_record
from pyg_sgm.data.schema import validate
from pyg_sgm.data.vectors import add_word_vectors, read_word_vectors, word_vectors
from pyg_sgm.data.vocabulary import Vocabularies, Vocabulary
from pyg_sgm.data.words import tokenize

__all__ = [
    "EditedTexts",
    "GraphCollection",
    "ImageRecord",
    "PairBatch",
    "PairedGraphs",
    "Ragged",
    "Rows",
    "SharedRows",
    "Spans",
    "TextRecord",
    "Vocabularies",
    "Vocabulary",
    "add_word_vectors",
    "from_networkx",
    "image_graph",
    "image_record",
    "node_spans",
    "open_feature_folder",
    "open_npy",
    "pack_images",
    "pack_texts",
    "read_scene_graph",
    "read_word_vectors",
    "text_graph",
    "text_record",
    "to_networkx",
    "tokenize",
    "turned_boxes",
    "validate",
    "word_vectors",
]
