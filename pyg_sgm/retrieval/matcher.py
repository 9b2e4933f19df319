"""A matcher with its vocabularies: from graphs and captions to scores, and to disk."""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from torch import Tensor, nn

from pyg_sgm._deprecated import renamed
from pyg_sgm.data import Vocabularies, add_word_vectors
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.evaluation import (
    encode_images,
    encode_texts,
    evaluate,
    evaluate_reranked,
    score,
    score_pairs,
)
from pyg_sgm.evaluation.encode import feature_width
from pyg_sgm.io import atomic_write
from pyg_sgm.metrics.retrieval import RetrievalMetrics
from pyg_sgm.models import GraphSizes, Matcher, find_model, model_name
from pyg_sgm.models.explanation import Attention, Explanation
from pyg_sgm.models.serialization import (
    CONFIG,
    VOCABULARIES,
    WEIGHTS,
    SavedModel,
    build_model,
    load_model,
    save_model,
)
from pyg_sgm.retrieval.explain import explain, readable_image, readable_text
from pyg_sgm.retrieval.inputs import (
    EncodedImages,
    EncodedTexts,
    Images,
    Texts,
    image_graphs,
    text_graphs,
)
from pyg_sgm.retrieval.prepare import (
    extractor_of,
    file_dataset,
    only_pixels,
    with_graphs,
    with_parses,
)
from pyg_sgm.training import Recipe, find_recipe, fit
from pyg_sgm.training.run_dir import GRAPHS
from pyg_sgm.vision import Extractor
from pyg_sgm.vision.description import describe, open_described
from pyg_sgm.vision.extraction import check_same
from pyg_sgm.vision.store import migrated

CARD = """---
{{ card_data }}
---

An image-text matcher on scene graphs. With [pyg_sgm]({{ repo_url }}):

```python
from pyg_sgm import SceneGraphMatcher

matcher = SceneGraphMatcher.from_pretrained("this/repository")
```
"""


@dataclass(frozen=True)
class Candidate:
    """One answer to a query.

    Args:
        index: Position among the candidates.
        id: Name of the candidate.
        score: Score of the pair.
    """

    index: int
    id: str
    score: float


class SceneGraphMatcher(
    nn.Module, PyTorchModelHubMixin, library_name="pyg_sgm", model_card_template=CARD
):
    """Matches images with texts by their scene graphs.

    Args:
        model (str or type): Name of a registered model, or its class. (default: :obj:`"sgm"`)
        **options: Arguments of the model, which overrule those of a recipe.

    Raises:
        ValueError: If there is no such model, or it has no such option.

    Example:
        >>> from pyg_sgm.retrieval import SceneGraphMatcher
        >>> from pyg_sgm.datasets import SceneWorld
        >>> from pyg_sgm.training import Recipe
        >>> world = SceneWorld("train", num_images=8, captions_per_image=2)
        >>> matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
        >>> matcher = matcher.fit(world, recipe=Recipe(epochs=1), progress=False)
        >>> matcher.score(world, ["a dog chasing a cat", "a cat"]).shape
        torch.Size([8, 2])
        >>> best = matcher.rank("a dog chasing a cat", world, k=3)
        >>> len(best), best[0].score >= best[1].score
        (3, True)
    """

    def __init__(self, model: str | type[Matcher] = "sgm", **options: Any) -> None:
        super().__init__()
        architecture = find_model(model)
        model = model_name(model)
        options = renamed(options, architecture.renamed_options, architecture.__name__)
        known = list(inspect.signature(architecture).parameters)[1:]  # without the sizes
        for name in options:
            if name not in known:
                raise ValueError(
                    f"model {model!r} has no option {name!r}; known: {', '.join(known)}"
                )
        self.name = model
        self.options = options
        self.model: Matcher | None = None
        self.vocabularies: Vocabularies | None = None
        self.history: list[dict[str, float]] = []
        self.made_by: Mapping[str, Any] | None = None  # describes the extractor
        self._extractor: Extractor | None = None

    @property
    def extractor(self) -> Extractor:
        """What makes graphs of images that are files, in training and afterwards. It may be set
        before :meth:`fit`; and afterwards to the same one opened anew, if a file that it needs has
        moved.

        Raises:
            ValueError: If the matcher was not trained on pixels, or is set to another one.
            FileNotFoundError: If a file that it needs is absent.
        """
        if self.made_by is None:
            raise ValueError(
                "the matcher was trained on graphs that came without pixels: give it such graphs, "
                "it cannot make them from files of images"
            )
        if self._extractor is None:
            self._extractor = open_described(self.made_by, "the matcher")
        return self._extractor

    @extractor.setter
    def extractor(self, extractor: Extractor) -> None:
        if self.model is not None and self.made_by is not None:
            check_same(migrated(self.made_by).get("fingerprint"), extractor, "the matcher")
        self._extractor, self.made_by = extractor, describe(extractor)

    def fit(
        self,
        dataset: SceneGraphDataset,
        dev: SceneGraphDataset | None = None,
        recipe: str | Recipe = "default",
        word_vectors: str | os.PathLike[str] | None = None,
        out: str | os.PathLike[str] | None = None,
        *,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Trains from scratch. The metrics of every epoch are in :attr:`history` afterwards.

        Captions of a dataset in which no text has a graph are parsed, and images that are files
        without graphs go through :func:`~pyg_sgm.retrieval.with_graphs`, with :attr:`extractor`,
        or one that is chosen as there.

        Args:
            dataset: What is trained on; its words and labels make the vocabularies.
            dev: Where the best weights are chosen, by rsum. (default: :obj:`None`, the last ones)
            recipe: A recipe, or its name. (default: ``"default"``)
            word_vectors: A file of word vectors that embeddings start from, for
                :func:`~pyg_sgm.data.read_word_vectors`. All its words become known, also those
                that the training texts lack. (default: :obj:`None`)
            out: Folder of the run. (default: :obj:`None`, nothing is written)
            seed: Initial weights, order of the batches, dropout. (default: ``0``)
            settings: What the run's folder remembers; see :func:`pyg_sgm.training.fit`.
                (default: :obj:`None`)
            **options: ``devices``, ``accelerator``, ``gather_negatives``, ``resume``,
                ``overwrite``, ``progress``: see :func:`pyg_sgm.training.fit`.

        Raises:
            ValueError, ImportError: As :func:`pyg_sgm.training.fit`.
        """
        if isinstance(recipe, str):
            recipe = find_recipe(self.name, recipe)
        recipe = recipe.with_model_options(**self.options)
        folder = None if out is None else Path(out) / GRAPHS
        if only_pixels(dataset) and self.made_by is None:
            self.extractor = extractor_of(folder)
        extractor = self.extractor if only_pixels(dataset) else None
        dataset = with_parses(with_graphs(dataset, folder, extractor))
        vocabularies = dataset.vocabularies(recipe.min_count)
        vectors: dict[str, tuple[Tensor, Tensor]] = {}
        if word_vectors is not None:
            vocabularies, vectors = add_word_vectors(vocabularies, word_vectors)
            width = next(iter(vectors.values()))[0].size(1)
            recipe = recipe.replace(options={"embed": width, **recipe.options})
        graphs = dataset.encode(vocabularies)
        sizes = GraphSizes.of(vocabularies, feature_width(graphs.images))
        model = build_model(self.name, sizes, recipe.options, seed)
        model.init_embeddings(**{k: v for k, v in vectors.items() if k in model.embeddings()})
        vector_file = None if word_vectors is None else os.fspath(word_vectors)
        history = fit(
            SavedModel(self.name, model, vocabularies, self.made_by),
            graphs,
            recipe,
            None
            if dev is None
            else with_parses(with_graphs(dev, folder, extractor)).encode(vocabularies),
            out,
            seed=seed,
            settings={"word_vectors": vector_file, **(settings or {})},
            **options,
        )
        self.model, self.vocabularies, self.history = model, vocabularies, history
        return self

    def encode_images(self, images: Images) -> EncodedImages:
        """Encodes a dataset, a collection, or a list of image graphs, records or files.

        Files become graphs by :attr:`extractor`, as do images of a dataset that are files alone;
        they are held in memory, so give many images to
        :func:`~pyg_sgm.retrieval.with_graphs` first.

        Raises:
            ValueError: If they do not fit the model, or there is none; naming the file, if one
                cannot be read.
        """
        if isinstance(images, EncodedImages):
            return images
        saved = self._saved()
        graphs = image_graphs(self._with_graphs(images), saved.vocabularies)
        return EncodedImages(graphs.ids, encode_images(saved.model, graphs))

    def encode_texts(self, texts: Texts) -> EncodedTexts:
        """Encodes a dataset, a collection, or a list of captions, text graphs or records.

        A caption that is a string is parsed by :func:`pyg_sgm.text.parse`; give a
        :func:`~pyg_sgm.data.text_record` where its graph is known.

        Raises:
            ValueError: If there is no text.
        """
        if isinstance(texts, EncodedTexts):
            return texts
        saved = self._saved()
        graphs = text_graphs(texts, saved.vocabularies)
        return EncodedTexts(graphs.ids, encode_texts(saved.model, graphs))

    def score(self, images: Images, texts: Texts) -> Tensor:
        """Scores of all images with all texts, ``[num_images, num_texts]``, on the CPU."""
        image, text = self.encode_images(images), self.encode_texts(texts)
        return score(self._saved().model, image.encoding, text.encoding)

    def score_pairs(self, images: Images, texts: Texts, image_of_text: Tensor) -> Tensor:
        """Score of every text with one image, ``[num_texts]``, on the CPU.

        Args:
            images: See :meth:`encode_images`.
            texts: See :meth:`encode_texts`.
            image_of_text: Position of each text's image, ``[num_texts]``.
        """
        image, text = self.encode_images(images), self.encode_texts(texts)
        return score_pairs(self._saved().model, image.encoding, text.encoding, image_of_text)

    def rank(self, query: Any, candidates: Any, k: int = 10) -> list[Candidate]:
        """The best candidates for one query, best first; equal scores keep their order.

        Args:
            query: One text (a caption, a graph, a record), then candidates are images; or one
                image, then candidates are texts.
            candidates: See :meth:`encode_images` and :meth:`encode_texts`.
            k: Number of candidates. (default: ``10``)

        Raises:
            ValueError: If the query is not one image or one text, ``k`` is less than 1, or a score
                is NaN.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        found: EncodedImages | EncodedTexts
        if _is_text(query):
            found = self.encode_images(candidates)
            scores = self.score(found, _one(self.encode_texts(query)))[:, 0]
        else:
            found = self.encode_texts(candidates)
            scores = self.score(_one(self.encode_images(query)), found)[0]
        if scores.isnan().any():
            raise ValueError(f"the score of {found.ids[int(scores.isnan().nonzero()[0])]} is NaN")
        best = scores.argsort(descending=True, stable=True)[:k].tolist()
        return [Candidate(i, found.ids[i], float(scores[i])) for i in best]

    def evaluate(self, dataset: SceneGraphDataset) -> RetrievalMetrics:
        """Recalls and median ranks in both directions; see :mod:`pyg_sgm.metrics.retrieval`."""
        saved = self._saved()
        graphs = with_parses(self._with_graphs(dataset)).encode(saved.vocabularies)
        return evaluate(saved.model, graphs)

    def evaluate_reranked(
        self, dataset: SceneGraphDataset, k: int = 10, gamma: float = 4e-3
    ) -> tuple[RetrievalMetrics, RetrievalMetrics]:
        """Recalls before and after re-ranking by distraction; see
        :func:`pyg_sgm.evaluation.evaluate_reranked`."""
        saved = self._saved()
        graphs = with_parses(self._with_graphs(dataset)).encode(saved.vocabularies)
        return evaluate_reranked(saved.model, graphs, k, gamma)

    def explain(self, image: Any, text: Any) -> Explanation | Attention:
        """What the model tells of a score: which word matched which object and which triplet which
        relation, or the attention of the text's nodes on the image's; of a model that compares
        graphs as wholes, the score alone.

        Args:
            image: One image: a graph, a record, a file, or a dataset or collection of one.
            text: One text: a caption, a graph, a record, or a dataset or collection of one.

        Raises:
            ValueError: If there is not one of each.
        """
        saved = self._saved()
        image = self._with_graphs(image)
        images = image_graphs(image, saved.vocabularies)
        texts = text_graphs(text, saved.vocabularies)
        shown = (images, readable_image(image, images, saved.vocabularies))
        told = (texts, readable_text(text, texts, saved.vocabularies))
        return explain(saved.model, shown, told)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> str | None:
        """Writes ``config.json``, ``model.safetensors``, ``vocabularies.json`` and, where there is
        none, a ``README.md``; each to the side first and then renamed.

        Args:
            save_directory: The folder, created if it is absent.
            **kwargs: See :class:`huggingface_hub.PyTorchModelHubMixin`.

        Raises:
            ValueError: If the matcher is not trained.
        """
        self._saved()
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        kwargs.setdefault("repo_id", folder.resolve().name)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as side:
            url = super().save_pretrained(side, **kwargs)
            for path in sorted(Path(side).iterdir()):
                if path.name != "README.md" or not (folder / path.name).exists():
                    with atomic_write(folder / path.name) as whole:
                        os.replace(path, whole)
        return url

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> Self:
        """Opens a folder of :meth:`save_pretrained` or of a training run.

        Args:
            pretrained_model_name_or_path: The folder, or a repository of the Hugging Face Hub.
            **kwargs: See :class:`huggingface_hub.PyTorchModelHubMixin`, for the Hub.

        Raises:
            ValueError: Naming the file, if one is missing, cut short, a pickle, or does not fit
                the others.
        """
        path = Path(pretrained_model_name_or_path)
        if path.exists() or path.suffix or len(path.parts) > 2 or path.is_absolute():
            return cls._of(load_model(path))
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        save_model(save_directory, self._saved())

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **kwargs: Any) -> Self:
        names = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        hub = {name: kwargs[name] for name in names}
        try:
            paths = [
                hf_hub_download(model_id, name, **hub) for name in (CONFIG, VOCABULARIES, WEIGHTS)
            ]
        except (HfHubHTTPError, LocalEntryNotFoundError) as error:
            raise ValueError(f"{model_id}: no such folder, and not found on the Hub") from error
        return cls._of(load_model(Path(paths[0]).parent))

    @classmethod
    def _of(cls, saved: SavedModel) -> Self:
        matcher = cls(saved.name, **saved.model.config)
        matcher.model, matcher.vocabularies = saved.model, saved.vocabularies
        matcher.made_by = saved.extractor
        return matcher

    def _with_graphs(self, images: Any) -> Any:
        """What is not yet graphs, as a dataset with graphs; anything else as it is."""
        if isinstance(images, SceneGraphDataset):
            return with_graphs(images, extractor=self.extractor) if only_pixels(images) else images
        files = [images] if isinstance(images, (str, os.PathLike)) else images
        if isinstance(files, (list, tuple)) and files and isinstance(files[0], (str, os.PathLike)):
            return file_dataset(files, self.extractor)
        return images

    def _saved(self) -> SavedModel:
        if self.model is None or self.vocabularies is None:
            raise ValueError("the matcher is not trained: call fit, or from_pretrained")
        return SavedModel(self.name, self.model, self.vocabularies, self.made_by)

    def extra_repr(self) -> str:
        return "" if self.model is not None else f"{self.name!r}, not trained"


def _is_text(query: Any) -> bool:
    if isinstance(query, (list, tuple)) and query:
        query = query[0]
    if hasattr(query, "node_types"):
        return "word" in query.node_types
    if hasattr(query, "is_text"):
        return bool(query.is_text)
    return isinstance(query, (str, EncodedTexts)) or hasattr(query, "caption")


def _one(encoded: Any) -> Any:
    if len(encoded) != 1:
        raise ValueError(f"expected one query, got {len(encoded)}")
    return encoded
