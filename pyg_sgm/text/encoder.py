"""Contextual vectors of words from a frozen language model."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.utils import segment

from pyg_sgm.data import Vocabularies
from pyg_sgm.io import digest, only_local

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MINILM = "minilm"
ALL_LAYERS = ",layers=all"
WORDS_PER_WINDOW = 64  # a longer text is read window by window, so that its pieces always fit
PIECES_PER_WINDOW = 512
PIECES_PER_BATCH = 4096


class TextEncoder:
    r"""A frozen language model as the ears of a matcher.

    The vector of a word, in its context, is the mean of the states of its pieces after the last
    layer. With all layers a word has two vectors side by side: before that of the last layer the
    mean of the states after all of them, from the embeddings of pieces on, each divided by its
    norm. The one stays closer to the word alone, the other, in the mean over a text, to what the
    language model was trained to say of sentences. All vectors have the norm
    :math:`\sqrt{dim} / 4`, a size from which layers learn well.

    Args:
        name (str): What :func:`open_text_encoder` opens it by.
        net (nn.Module): Maps indices of pieces ``[num_texts, num_pieces]`` to their states after
            each layer, ``[num_texts, num_pieces, dim]``, a list that begins with their embeddings.
        tokenizer (tokenizers.Tokenizer): Splits words into pieces.
        dim (int): Width of the states.
        max_pieces (int, optional): Pieces of a text that the model can take, with the marks around
            it. (default: :obj:`512`)
        all_layers (bool, optional): The states after all layers count too. (default:
            :obj:`False`)

    Attributes:
        width (int): Columns of what it gives, ``dim`` or ``2 * dim``.

    Example:
        >>> encoder = open_text_encoder("minilm")  # doctest: +SKIP
        >>> encoder([("a", "dog"), ("a", "man", "riding")]).shape  # doctest: +SKIP
        torch.Size([5, 384])
    """

    def __init__(
        self,
        name: str,
        net: nn.Module,
        tokenizer: Tokenizer,
        dim: int,
        max_pieces: int = 512,
        all_layers: bool = False,
    ) -> None:
        self.name = name
        self.net = net.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_pieces)
        self.dim = dim
        self.all_layers = all_layers
        self.width = 2 * dim if all_layers else dim
        self.fingerprint = _fingerprint(net, tokenizer, all_layers)

    @torch.no_grad()
    def __call__(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """Encodes texts that are split into words.

        Texts of equally many pieces are computed together, so that none depends on padding. A text
        of more than 64 words is read in windows of 64 words.

        Args:
            texts (sequence of sequences of str): The words of each text.

        Returns:
            Tensor: The words of all texts in order, ``[num_words, width]``, on the CPU. A word that
            has no pieces has zeros.
        """
        windows = [
            list(words[start : start + WORDS_PER_WINDOW])
            for words in texts
            for start in range(0, len(words), WORDS_PER_WINDOW)
        ]
        coded = self.tokenizer.encode_batch(windows, is_pretokenized=True)
        start = [0, *accumulate(map(len, windows))]
        vectors, count = torch.zeros(start[-1], self.width), torch.zeros(start[-1])
        device = next(self.net.parameters()).device
        for batch in _equal_lengths([len(code.ids) for code in coded]):
            ids = torch.tensor([coded[i].ids for i in batch], device=device)
            layers = self.net(ids)
            states = layers[-1].float()
            if self.all_layers:
                mean = torch.stack([F.normalize(x.float(), dim=-1) for x in layers]).mean(dim=0)
                states = torch.cat([mean, states], dim=-1)
            states = states.cpu()
            # Row of the word that each piece belongs to; the marks around a text belong to none.
            row = torch.tensor(
                [[-1 if at is None else start[i] + at for at in coded[i].word_ids] for i in batch]
            )
            inside = row >= 0
            vectors.index_add_(0, row[inside], states[inside])
            count.index_add_(0, row[inside], torch.ones(int(inside.sum())))
        return self.scaled(vectors / count.clamp(min=1)[:, None])

    def phrases(self, phrases: Sequence[str]) -> Tensor:
        """Vectors of labels, each read by itself: the mean of its words, ``[num_phrases, width]``.

        Args:
            phrases (list of str): The labels.
        """
        words = [phrase.split() for phrase in phrases]
        length = torch.tensor([len(phrase) for phrase in words], dtype=torch.long)
        return self.scaled(segment(self(words), F.pad(length.cumsum(0), (1, 0)), reduce="mean"))

    def scaled(self, vectors: Tensor) -> Tensor:
        """Vectors of the norm that words have; zeros stay zero.

        Args:
            vectors (Tensor): ``[..., width]``.
        """
        parts = F.normalize(vectors.unflatten(-1, (-1, self.dim)), dim=-1)
        return parts.flatten(-2) * (math.sqrt(self.dim) / 4)

    def labels(self, vocabularies: Vocabularies) -> dict[str, tuple[Tensor, Tensor]]:
        """Vectors of the labels of image graphs, ``[num_labels, dim]``, in the form that
        :meth:`pyg_sgm.models.Matcher.init_embeddings` takes; the unknown label has zeros.

        Args:
            vocabularies (Vocabularies): Those of the model.
        """
        found = {}
        for name in ("objects", "predicates", "attributes"):
            labels = getattr(vocabularies, name).words
            vectors = self.phrases(labels[1:])[:, : self.dim]
            vectors = torch.cat([torch.zeros(1, self.dim), vectors])
            found[name] = vectors, torch.ones(len(labels), dtype=torch.bool)
        return found


def open_text_encoder(name: str) -> TextEncoder:
    """Opens a language model.

    Args:
        name (str): ``"minilm"``, all-MiniLM-L6-v2, whose weights come with the package of the extra
            ``minilm``; or ``"hf:NAME"``, an encoder of transformers by the name of a folder or of a
            repository, with a fast tokenizer and weights in safetensors. Either with
            ``",layers=all"`` for the states after all layers beside those after the last.

    Raises:
        ValueError: If the name is not one of these, or there is no such encoder.
        ImportError: If what it needs is not installed.
    """
    model = name.removesuffix(ALL_LAYERS)
    if model == MINILM:
        return _minilm(name)
    if model.startswith("hf:") and model[3:]:
        return _transformers(name, model[3:])
    raise ValueError(
        f"text encoder {name!r}; known: {MINILM}, hf:NAME, and either with {ALL_LAYERS}"
    )


def describe_text_encoder(encoder: TextEncoder) -> dict[str, str]:
    """What :func:`reopen_text_encoder` needs, fit for JSON."""
    return {"name": encoder.name, "fingerprint": encoder.fingerprint}


def reopen_text_encoder(description: Mapping[str, Any], where: str) -> TextEncoder:
    """The text encoder of a saved matcher. Only the one that is shipped is opened: what somebody
    else's file names is neither read nor downloaded.

    Args:
        description (mapping): See :func:`describe_text_encoder`.
        where (str): What has it, for messages.

    Raises:
        ValueError: If it is another one, or has other weights now.
        ImportError: If what it needs is not installed.
    """
    name = description.get("name")
    if not isinstance(name, str) or name.removesuffix(ALL_LAYERS) != MINILM:
        raise ValueError(
            f"{where} reads texts by {name!r}, which is not opened because a file says so: set "
            "its text_encoder to open_text_encoder(...), or give it again (--text-encoder on the "
            "command line)"
        )
    encoder = open_text_encoder(name)
    check_text_encoder(description, encoder, where)
    return encoder


def check_text_encoder(description: Mapping[str, Any], encoder: TextEncoder, where: str) -> None:
    """Raises a ValueError unless an encoder is the described one."""
    if description.get("fingerprint") != encoder.fingerprint:
        raise ValueError(
            f"{where} was trained on the vectors of {description.get('name')!r} with other weights "
            f"than {encoder.name!r} has here"
        )


def _minilm(name: str) -> TextEncoder:
    """The model in its package's archive; none of the package's own code runs."""
    package = find_spec("all_minilm_l6_v2")
    try:
        from safetensors.torch import load
        from tokenizers import Tokenizer

        if package is None or not package.submodule_search_locations:
            raise ImportError("no module named 'all_minilm_l6_v2'")
    except ImportError as error:
        raise ImportError(f"text encoder {name!r}: pip install pyg_sgm[minilm]") from error
    with zipfile.ZipFile(Path(package.submodule_search_locations[0]) / "model.zip") as archive:
        config = json.loads(archive.read("config.json"))
        weights = load(archive.read("model.safetensors"))
        tokenizer = Tokenizer.from_str(archive.read("tokenizer.json").decode())
    net, most = _Bert(config, weights), config["max_position_embeddings"]
    all_layers = name.endswith(ALL_LAYERS)
    return TextEncoder(name, net, tokenizer, config["hidden_size"], most, all_layers)


def _transformers(name: str, source: str) -> TextEncoder:
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise ImportError(f"text encoder {name!r}: pip install transformers") from error
    try:
        local = only_local(source)
        tokenizer = AutoTokenizer.from_pretrained(
            source, add_prefix_space=True, local_files_only=local
        )
        # Weights in half precision would be computed in it.
        net = AutoModel.from_pretrained(
            source, use_safetensors=True, local_files_only=local
        ).float()
        if hasattr(net, "decoder"):  # such as T5
            net = net.encoder
        dim = net.config.hidden_size
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"text encoder {name!r}: {error}") from error
    if not tokenizer.is_fast:
        raise ValueError(f"text encoder {name!r} has no fast tokenizer")
    return TextEncoder(
        name,
        _States(net),
        tokenizer.backend_tokenizer,
        dim,
        _most_pieces(net, tokenizer),
        name.endswith(ALL_LAYERS),
    )


def _most_pieces(net: Any, tokenizer: Any) -> int:
    """How many pieces of a window a network of transformers and its tokenizer take."""
    most: int = min(tokenizer.model_max_length, PIECES_PER_WINDOW)  # it may know no end
    positions = getattr(net.config, "max_position_embeddings", None)
    if positions is not None:
        # Those of RoBERTa begin after that of the padding.
        first = getattr(getattr(net, "embeddings", None), "padding_idx", -1) + 1
        most = min(most, positions - first)
    return most


class _States(nn.Module):
    """The hidden states of an encoder of transformers."""

    def __init__(self, net: Callable[..., Any]) -> None:
        super().__init__()
        self.net = net

    def forward(self, ids: Tensor) -> list[Tensor]:
        mask = torch.ones_like(ids)
        out = self.net(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        # Of some networks the last of the hidden states lacks a norm.
        return [*out.hidden_states[:-1], out.last_hidden_state]


class _Bert(nn.Module):
    """BERT of given weights on PyTorch's layers, which takes seconds less to import than the
    library that the weights are named for."""

    def __init__(self, config: dict[str, Any], weights: dict[str, Tensor]) -> None:
        super().__init__()
        dim, eps = config["hidden_size"], config["layer_norm_eps"]
        with torch.random.fork_rng(devices=[]):
            self.pieces = nn.Embedding(config["vocab_size"], dim)
            self.positions = nn.Embedding(config["max_position_embeddings"], dim)
            self.norm = nn.LayerNorm(dim, eps)
            self.layers = nn.ModuleList(
                nn.TransformerEncoderLayer(
                    dim,
                    config["num_attention_heads"],
                    config["intermediate_size"],
                    activation="gelu",
                    layer_norm_eps=eps,
                    batch_first=True,
                )
                for _ in range(config["num_hidden_layers"])
            )
        self.load_state_dict(_torch_names(weights, len(self.layers)))

    def forward(self, ids: Tensor) -> list[Tensor]:
        positions = torch.arange(ids.size(1), device=ids.device)
        states: list[Tensor] = [self.norm(self.pieces(ids) + self.positions(positions))]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return states


def _torch_names(bert: dict[str, Tensor], num_layers: int) -> dict[str, Tensor]:
    """Weights of BERT by the names of PyTorch's layers; every text is of the first type."""
    weights = {
        "pieces.weight": bert["embeddings.word_embeddings.weight"],
        "positions.weight": bert["embeddings.position_embeddings.weight"]
        + bert["embeddings.token_type_embeddings.weight"][0],
    }
    parts = {
        "attention.output.dense": "self_attn.out_proj",
        "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "linear1",
        "output.dense": "linear2",
        "output.LayerNorm": "norm2",
    }
    for kind in ("weight", "bias"):
        weights[f"norm.{kind}"] = bert[f"embeddings.LayerNorm.{kind}"]
        for i in range(num_layers):
            old, new = f"encoder.layer.{i}", f"layers.{i}"
            weights |= {f"{new}.{b}.{kind}": bert[f"{old}.{a}.{kind}"] for a, b in parts.items()}
            weights[f"{new}.self_attn.in_proj_{kind}"] = torch.cat(
                [bert[f"{old}.attention.self.{x}.{kind}"] for x in ("query", "key", "value")]
            )
    return weights


def _equal_lengths(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Positions of texts with equally many pieces, in batches of bounded size."""
    by_length: dict[int, list[int]] = {}
    for i, length in enumerate(lengths):
        by_length.setdefault(length, []).append(i)
    for length, group in by_length.items():
        size = max(1, PIECES_PER_BATCH // length)
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _fingerprint(net: nn.Module, tokenizer: Tokenizer, all_layers: bool) -> str:
    """Tells language models apart by their weights and their pieces, and by what is read."""
    pieces = json.dumps(sorted(tokenizer.get_vocab().items()))
    read = ["all layers + last"] if all_layers else []
    return digest([pieces, *chain.from_iterable(net.state_dict().items()), *read])
