"""A tiny language model with random weights."""

import pytest
import torch

from pyg_sgm.text.encoder import TextEncoder, _Bert

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra minilm")

CONFIG = {
    "hidden_size": 8,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "vocab_size": 12,
    "max_position_embeddings": 200,
    "layer_norm_eps": 1e-12,
}
PIECES = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "dog", "cat", "ski", "##ing", "man", "horse"]


def bert_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights by the names of published BERT files."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return 0.5 * torch.randn(*shape, generator=generator, dtype=torch.double)

    d, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    weights = {
        "embeddings.word_embeddings.weight": draw(CONFIG["vocab_size"], d),
        "embeddings.position_embeddings.weight": draw(CONFIG["max_position_embeddings"], d),
        "embeddings.token_type_embeddings.weight": draw(2, d),
        "embeddings.LayerNorm.weight": draw(d),
        "embeddings.LayerNorm.bias": draw(d),
        "pooler.dense.weight": draw(d, d),  # in published files, and not used
    }
    for i in range(CONFIG["num_hidden_layers"]):
        for name, shape in {
            "attention.self.query": (d, d),
            "attention.self.key": (d, d),
            "attention.self.value": (d, d),
            "attention.output.dense": (d, d),
            "attention.output.LayerNorm": (d,),
            "intermediate.dense": (inner, d),
            "output.dense": (d, inner),
            "output.LayerNorm": (d,),
        }.items():
            weights[f"encoder.layer.{i}.{name}.weight"] = draw(*shape)
            weights[f"encoder.layer.{i}.{name}.bias"] = draw(shape[0])
    return weights


def tiny_encoder(seed: int = 0, name: str = "tiny", all_layers: bool = False) -> TextEncoder:
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({p: i for i, p in enumerate(PIECES)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    weights = {k: v.float() for k, v in bert_weights(seed).items()}
    return TextEncoder(name, _Bert(CONFIG, weights), tokenizer, 8, 200, all_layers)
