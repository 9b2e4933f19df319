"""Modules built on :mod:`pyg_sgm.ops`."""

from pyg_sgm.nn.attention import CrossGraphMatch, NodeAttention
from pyg_sgm.nn.class_words import ClassWords
from pyg_sgm.nn.fusion import MultiModalFusion
from pyg_sgm.nn.graph_match import RegionNeighbors, WordNeighbors
from pyg_sgm.nn.high_order import HighOrderEncoder
from pyg_sgm.nn.pooling import AttentionPooling, GatedPooling, GeneralizedPooling
from pyg_sgm.nn.recurrent import PackedGRU, PackedLSTM
from pyg_sgm.nn.regions import RegionInput
from pyg_sgm.nn.scene_nodes import SceneNodes
from pyg_sgm.nn.sequence import PackedConv, PackedSelfAttention
from pyg_sgm.nn.similarity import (
    ContextPooling,
    SimilarityFiltration,
    SimilarityReasoning,
    SimilarityVector,
)
from pyg_sgm.nn.words import TokenEmbedding, WordFeatures, read_labels, word_input

__all__ = [
    "AttentionPooling",
    "ClassWords",
    "ContextPooling",
    "CrossGraphMatch",
    "GatedPooling",
    "GeneralizedPooling",
    "HighOrderEncoder",
    "MultiModalFusion",
    "NodeAttention",
    "PackedConv",
    "PackedGRU",
    "PackedLSTM",
    "PackedSelfAttention",
    "RegionInput",
    "RegionNeighbors",
    "SceneNodes",
    "SimilarityFiltration",
    "SimilarityReasoning",
    "SimilarityVector",
    "TokenEmbedding",
    "WordFeatures",
    "WordNeighbors",
    "read_labels",
    "word_input",
]
