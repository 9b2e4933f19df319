"""What words and phrases of texts start from."""

from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.data.storage import NodeStorage
from torch_geometric.utils import cumsum, scatter

from pyg_sgm.ops import segment_mean


def word_input(num_words: int, embed: int, word_features: int) -> "TokenEmbedding | WordFeatures":
    """Vectors of a language model where texts have them, else embeddings of their tokens.

    Args:
        num_words (int): Size of the vocabulary of words.
        embed (int): Size of the embeddings.
        word_features (int): Width of the features of words; 0 if texts have none.

    Raises:
        ValueError: If features are not ``embed`` wide, nor two vectors of this width.
    """
    if not word_features:
        return TokenEmbedding(num_words, embed)
    check_read(word_features, embed, "word")
    return WordFeatures(word_features, embed)


def check_read(features: int, embed: int, what: str) -> None:
    """Checks that what a language model gives is a vector of width ``embed``, or two.

    Args:
        features (int): Width of the features.
        embed (int): Size of the embeddings.
        what (str): What they are of, for the message.

    Raises:
        ValueError: If it is neither.
    """
    if features not in (embed, 2 * embed):
        raise ValueError(
            f"embed must be the width of the {what} features, {features}, or half of it: {embed}"
        )


class TokenEmbedding(nn.Embedding):
    """Embeddings of the tokens of words, and their mean over the words of a phrase.

    Shapes:
        - **input:** text graphs, and a node type
        - **output:** :math:`(N, F)`, of its nodes

    Example:
        >>> from pyg_sgm.data import Vocabulary, text_graph
        >>> graph = text_graph("a red dog", Vocabulary(["a", "red", "dog"]), ["red dog"])
        >>> embedding = TokenEmbedding(4, 8)
        >>> embedding(graph).shape, embedding(graph, "object").shape
        (torch.Size([3, 8]), torch.Size([1, 8]))
    """

    def forward(self, batch: HeteroData, node: str = "word") -> Tensor:
        embedded = self.of_tokens(batch[node].token)
        if node == "word":
            return embedded
        return segment_mean(embedded, cumsum(batch[node].length))

    def of_tokens(self, token: Tensor) -> Tensor:
        """Embeddings of tokens in any shape.

        Args:
            token (Tensor): Indices of words.
        """
        return super().forward(token)


class WordFeatures(nn.Module):
    """Given vectors of words, and their mean over the words that a node spans; zero for a node
    that spans none.

    Of words that have two vectors side by side, as a :class:`~pyg_sgm.text.TextEncoder` of all
    layers gives them, it is the first; :meth:`of_sentence` gives the second.

    Args:
        channels (int): Width of the features.
        out_channels (int, optional): Width of a vector. (default: that of the features)

    Shapes:
        - **input:** text graphs whose words have ``x`` ``[num_words, channels]``, and a node type
        - **output:** ``[num_nodes, out_channels]``

    Raises:
        ValueError: If words have no features, or features of another width.

    Example:
        >>> import torch
        >>> from pyg_sgm.data import Vocabulary, text_graph
        >>> graph = text_graph("a red dog", Vocabulary(["a", "red", "dog"]), ["red dog", "tail"])
        >>> graph["word"].x = torch.tensor([[1.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 3]])
        >>> WordFeatures(4)(graph, "object")
        tensor([[0.0000, 1.0000, 0.0000, 1.5000],
                [0.0000, 0.0000, 0.0000, 0.0000]])
    """

    def __init__(self, channels: int, out_channels: int | None = None) -> None:
        super().__init__()
        self.channels = channels
        self.out_channels = out_channels or channels
        self.is_double = self.channels == 2 * self.out_channels

    def forward(self, batch: HeteroData, node: str = "word") -> Tensor:
        x = self._features(batch)[:, : self.out_channels]
        if node == "word":
            return x
        of_node, word = batch[node, "spans", "word"].edge_index
        mean: Tensor = scatter(x[word], of_node, dim_size=batch[node].num_nodes, reduce="mean")
        return mean

    def of_sentence(self, batch: HeteroData) -> Tensor:
        """What words say of their text, the second vector where they have two, ``[num_words,
        out_channels]``.

        Args:
            batch (HeteroData): Text graphs.
        """
        return self._features(batch)[:, -self.out_channels :]

    def _features(self, batch: HeteroData) -> Tensor:
        x: Tensor | None = batch["word"].get("x")
        if x is None or x.size(1) != self.channels:
            width = 0 if x is None else x.size(1)
            raise ValueError(f"word.x: {width} features, the model has {self.channels}")
        return x

    def extra_repr(self) -> str:
        return f"{self.channels}, {self.out_channels}"


def read_labels(nodes: NodeStorage, channels: int) -> Tensor:
    """Features of the labels of an image's nodes, ``[num_nodes, channels]``.

    Args:
        nodes (NodeStorage): Nodes of one type of image graphs.
        channels (int): Width of the features.

    Raises:
        ValueError: If there are none, or of another width.
    """
    x: Tensor | None = nodes.get("label_x")
    if x is None or x.size(1) != channels:
        width = 0 if x is None else x.size(1)
        raise ValueError(
            f"{nodes._key}.label_x: {width} features, the model has {channels}: give it records or "
            "a dataset, whose labels it can read"
        )
    return x
