"""Tiny models of two towers with random weights, as folders."""

import json
from pathlib import Path

import pytest
import torch

PIECES = ["<pad>", "<s>", "</s>", "<unk>", "a", "dog", "cat", "red", "blue", "and"]
SIZE, LENGTH = 16, 8
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


def save_towers(folder: Path, kind: str, seed: int = 0) -> torch.nn.Module:
    """Writes a CLIP or SigLIP that sees 16 x 16 pixels, reads words of ten and is silent on none.

    Args:
        folder (Path): Where.
        kind (str): ``"CLIP"`` or ``"Siglip"``.
        seed (int, optional): Of the weights. (default: :obj:`0`)
    """
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 8, "projection_dim": 6, "projection_size": 8}
    text = {"vocab_size": len(PIECES), "max_position_embeddings": LENGTH, "bos_token_id": 1}
    text |= {"eos_token_id": 2, "pad_token_id": 0}
    config = getattr(transformers, f"{kind}Config")(
        vision_config={**sizes, "image_size": SIZE, "patch_size": 8},
        text_config={**sizes, **text},
        **({"projection_dim": 6} if kind == "CLIP" else {}),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = getattr(transformers, f"{kind}Model")(config).eval()
        for value in net.parameters():  # the libraries' own start is near zero
            torch.nn.init.normal_(value, std=0.5)
    net.save_pretrained(folder)
    square = {"height": SIZE, "width": SIZE}
    pixels = {"image_processor_type": f"{kind}ImageProcessor", "size": square, "crop_size": square}
    pixels |= {"image_mean": MEAN, "image_std": STD}
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels))
    words = tokenizers.models.WordLevel({p: i for i, p in enumerate(PIECES)}, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    ).save_pretrained(folder)
    return net
