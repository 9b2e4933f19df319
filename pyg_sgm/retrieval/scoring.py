"""A trained model with its vocabularies: from images and texts to scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pyg_sgm._deprecated import renamed
from pyg_sgm.data import PairedGraphs, Ragged, TextRecord, Vocabularies
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.distributed import Pool
from pyg_sgm.evaluation import (
    encode_images,
    encode_texts,
    evaluate,
    evaluate_folds,
    evaluate_in_parts,
    evaluate_reranked,
    score,
    score_pairs,
)
from pyg_sgm.metrics.retrieval import RetrievalMetrics
from pyg_sgm.models import Matcher, find_model, model_name
from pyg_sgm.models.serialization import SavedModel, check_options
from pyg_sgm.retrieval.calibration import Calibration, fit_calibration
from pyg_sgm.retrieval.encoded import EncodedImages, EncodedTexts, check_same_model
from pyg_sgm.retrieval.fingerprint import Fingerprint
from pyg_sgm.retrieval.inputs import (
    ImageGraphs,
    Images,
    LabelFeatures,
    Texts,
    image_graphs,
    text_graphs,
)
from pyg_sgm.retrieval.prepare import (
    check_captioned,
    needs_graph,
    with_attributes,
    with_graphs,
    with_known_images,
    with_parses,
)
from pyg_sgm.text import TextEncoder, label_features, word_features
from pyg_sgm.text.encoder import (
    MINILM,
    check_text_encoder,
    describe_text_encoder,
    reopen_text_encoder,
)
from pyg_sgm.vision import AttributeHead, Extractor
from pyg_sgm.vision.description import describe, open_described
from pyg_sgm.vision.fingerprint import check_same, migrated

WordFeatures = Callable[[Sequence[TextRecord]], Ragged]


class Scorer(nn.Module):
    """What :class:`~pyg_sgm.retrieval.SceneGraphMatcher` knows, and how it scores.

    Args:
        model (str or type, optional): Name of a registered model, or its class. (default:
            :obj:`"sgm"`)
        **options: Arguments of the model, which overrule those of a recipe.

    Raises:
        ValueError: If there is no such model, or it has no such option.
    """

    def __init__(self, model: str | type[Matcher] = "sgm", **options: Any) -> None:
        super().__init__()
        architecture = find_model(model)
        options = renamed(options, architecture.renamed_options, architecture.__name__)
        check_options(model, options)
        self.name = model_name(model)
        self.options = options
        self.model: Matcher | None = None
        self.vocabularies: Vocabularies | None = None
        self.history: list[dict[str, float]] = []
        self.made_by: Mapping[str, Any] | None = None  # describes the extractor
        self._extractor: Extractor | None = None
        self.read_by: Mapping[str, Any] | None = None  # describes the text encoder
        self._text_encoder: TextEncoder | None = None
        self.attributes: AttributeHead | None = None  # names objects, if the recipe has it
        self._calibration: Calibration | None = None
        self._fingerprint = Fingerprint()

    @property
    def extractor(self) -> Extractor:
        """What makes graphs of images that are files, in training and afterwards. It may be set
        before :meth:`fit`; and afterwards to the same one opened again, if a file that it needs has
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

    @property
    def text_encoder(self) -> TextEncoder | None:
        """What gives the features of words, in training and afterwards; :obj:`None` if the model
        reads words by its own embeddings. It may be set before :meth:`fit`; and afterwards to the
        same one, if it is not one that is shipped.

        Raises:
            ValueError: If it is set to another one, or is not opened because only a file names it.
            ImportError: If what it needs is not installed.
        """
        if self._text_encoder is None and self.read_by is not None:
            self._text_encoder = reopen_text_encoder(self.read_by, "the matcher")
        return self._text_encoder

    @text_encoder.setter
    def text_encoder(self, encoder: TextEncoder | None) -> None:
        if self.model is not None:
            if encoder is None or self.read_by is None:
                raise ValueError("a trained matcher keeps the text encoder that it was trained on")
            check_text_encoder(self.read_by, encoder, "the matcher")
        self._text_encoder = encoder
        self.read_by = None if encoder is None else describe_text_encoder(encoder)

    def _word_features(self) -> WordFeatures | None:
        """What gives the features of the words of texts."""
        return reader_of_words(self.text_encoder)

    def _image_graphs(self, images: Images) -> ImageGraphs:
        """Images as the model takes them, those that have a graph."""
        return image_graphs(
            images,
            self._saved().vocabularies,
            lambda: self.extractor,
            self.attributes,
            self._label_features(),
        )

    def _label_features(self) -> LabelFeatures | None:
        """What gives the features of the labels of images, if the model reads them."""
        reads = self._saved().model.sizes.label_features
        return reader_of_labels(self.text_encoder if reads else None)

    @property
    def saved(self) -> SavedModel:
        """The trained model with what it needs.

        Raises:
            ValueError: If the matcher is not trained.
        """
        return self._saved()

    @property
    def fingerprint(self) -> str:
        """What tells the trained model from others: its weights, options and vocabularies. It is
        computed again when a weight is changed in place, but not through ``Tensor.data``.

        Raises:
            ValueError: If the matcher is not trained.
        """
        return self._fingerprint.of(self._saved())

    @property
    def calibration(self) -> Calibration | None:
        """What scores are worth, measured by :meth:`calibrate` or kept with the matcher;
        :obj:`None` if that was not measured with these weights."""
        known = self._calibration
        return known if known is not None and known.fingerprint == self.fingerprint else None

    def encode_images(self, images: Images) -> EncodedImages:
        """Encodes a dataset, a collection, or image files, pixels, records or graphs.

        Pixels become graphs by :attr:`extractor`, as do images of a dataset that are files alone;
        these graphs are held in memory, so give many images to
        :func:`~pyg_sgm.retrieval.with_graphs` first. Images that cannot be read keep their places;
        a warning counts them.

        Args:
            images (Images): One image, or several in any iterable.

        Raises:
            ValueError: If they do not fit the model, none can be read, there is none, or they were
                encoded by another model.
        """
        saved = self._saved()
        if isinstance(images, EncodedImages):
            check_same_model(images, self._fingerprint.of(saved))
            return images
        found = self._image_graphs(images)
        encoding = encode_images(saved.model, found.graphs)
        return EncodedImages(found.ids, encoding, found.known, self._fingerprint.of(saved))

    def encode_texts(self, texts: Texts) -> EncodedTexts:
        """Encodes a dataset, a collection, or captions, text records or graphs.

        A caption, and a record without a graph, is parsed by :func:`pyg_sgm.text.parse`; give a
        :func:`~pyg_sgm.data.text_record` where its graph is known.

        Args:
            texts (Texts): One text, or several in any iterable.

        Raises:
            ValueError: If there is no text, or they were encoded by another model.
        """
        saved = self._saved()
        if isinstance(texts, EncodedTexts):
            check_same_model(texts, self._fingerprint.of(saved))
            return texts
        graphs = text_graphs(texts, saved.vocabularies, self._word_features()).graphs
        return EncodedTexts(
            graphs.ids, encode_texts(saved.model, graphs), self._fingerprint.of(saved)
        )

    def score(self, images: Images, texts: Texts) -> Tensor:
        """Scores of all images with all texts, ``[num_images, num_texts]``, on the CPU; minus
        infinity for images that cannot be read.

        Args:
            images (Images): See :meth:`encode_images`.
            texts (Texts): See :meth:`encode_texts`.
        """
        image, text = self.encode_images(images), self.encode_texts(texts)
        scores = torch.full((len(image), len(text)), -torch.inf)
        scores[image.known] = score(self._saved().model, image.encoding, text.encoding)
        return scores

    def score_pairs(self, images: Images, texts: Texts, image_of_text: Tensor) -> Tensor:
        """Score of every text with one image, ``[num_texts]``, on the CPU; minus infinity for
        images that cannot be read.

        Args:
            images (Images): See :meth:`encode_images`.
            texts (Texts): See :meth:`encode_texts`.
            image_of_text (Tensor): Position of each text's image, ``[num_texts]``.

        Raises:
            ValueError: If it is not one position of an image for each text.
        """
        image, text = self.encode_images(images), self.encode_texts(texts)
        image_of_text = torch.as_tensor(image_of_text)
        if image_of_text.is_floating_point() or image_of_text.shape != (len(text),):
            raise ValueError(
                f"image_of_text: expected a whole number for each of {len(text)} texts, got "
                f"{image_of_text.dtype} of shape {tuple(image_of_text.shape)}"
            )
        if not ((image_of_text >= 0) & (image_of_text < len(image))).all():
            raise ValueError(f"image_of_text: expected positions in 0 to {len(image) - 1}")
        row = torch.full((len(image),), -1)
        row[image.known] = torch.arange(len(image.known))
        own = row[image_of_text]  # [num_texts]
        scores = torch.full((len(text),), -torch.inf)
        there = (own >= 0).nonzero()[:, 0]
        scores[there] = score_pairs(
            self._saved().model, image.encoding, text.encoding.select(there), own[there]
        )
        return scores

    def evaluate(
        self,
        dataset: SceneGraphDataset,
        folds: int = 1,
        pool: Pool | None = None,
        folder: str | os.PathLike[str] = ".",
    ) -> RetrievalMetrics:
        """Recalls and median ranks in both directions; see :mod:`pyg_sgm.metrics.retrieval`.
        Images that cannot be read are left out with their texts.

        Args:
            dataset (SceneGraphDataset): Images with captions.
            folds (int, optional): Number of parts of consecutive images that are evaluated by
                themselves and averaged; 5 for the 1K protocol of COCO. (default: :obj:`1`)
            pool (Pool, optional): Workers that encode and score, see
                :func:`~pyg_sgm.evaluation.evaluate_in_parts`. (default: :obj:`None`)
            folder (str or PathLike, optional): Where encodings lie meanwhile, if there is a pool.
                (default: :obj:`"."`)

        Raises:
            ValueError: If there is a pool and more than one fold.
        """
        saved, graphs = self._saved(), self._graphs(dataset)
        if pool is None:
            return evaluate(saved.model, graphs, folds)
        if folds != 1:
            raise ValueError(f"a pool evaluates all images together, not {folds} folds")
        return evaluate_in_parts(saved, graphs, pool, Path(folder))

    def evaluate_folds(self, dataset: SceneGraphDataset, folds: int = 5) -> list[RetrievalMetrics]:
        """Recalls and median ranks of each part of a collection by itself, such as those that
        :meth:`evaluate` takes the mean of; see :func:`pyg_sgm.evaluation.evaluate_folds`.

        Args:
            dataset (SceneGraphDataset): Images with captions.
            folds (int, optional): Number of parts of consecutive images. (default: :obj:`5`)
        """
        saved, graphs = self._saved(), self._graphs(dataset)
        return evaluate_folds(saved.model, graphs, folds)

    def evaluate_reranked(
        self, dataset: SceneGraphDataset, k: int = 10, gamma: float = 4e-3
    ) -> tuple[RetrievalMetrics, RetrievalMetrics]:
        """Recalls before and after re-ranking by distraction; see
        :func:`pyg_sgm.evaluation.evaluate_reranked`.

        Args:
            dataset (SceneGraphDataset): Images with captions.
            k (int, optional): References per query that are re-ranked. (default: :obj:`10`)
            gamma (float, optional): Weight of the distraction score. (default: :obj:`4e-3`)
        """
        saved, graphs = self._saved(), self._graphs(dataset)
        return evaluate_reranked(saved.model, graphs, k, gamma)

    def calibrate(self, dataset: SceneGraphDataset, seed: int = 0) -> Calibration:
        """Measures what scores are worth, see :class:`~pyg_sgm.retrieval.Calibration`, and keeps it
        as :attr:`calibration`, which is saved with the matcher.

        Args:
            dataset (SceneGraphDataset): Images with captions that the matcher was not trained on,
                20 or more; of more than 1,000 some are chosen.
            seed (int, optional): Of the choice. (default: :obj:`0`)

        Raises:
            ValueError: If there are too few.
        """
        self._calibration = fit_calibration(self, self._prepared(dataset), seed)
        return self._calibration

    def _graphs(self, dataset: SceneGraphDataset) -> PairedGraphs:
        """Images and captions as the model takes them."""
        vocabularies = self._saved().vocabularies
        dataset = self._prepared(dataset)
        return dataset.encode(vocabularies, self._word_features(), self._label_features())

    def _prepared(self, dataset: SceneGraphDataset) -> SceneGraphDataset:
        """The dataset as the model takes it: see :func:`prepared` and :func:`named`."""
        return named(prepared(dataset, None, lambda: self.extractor), self.attributes)

    def _saved(self) -> SavedModel:
        if self.model is None or self.vocabularies is None:
            raise ValueError("the matcher is not trained: call fit, or from_pretrained")
        return SavedModel(
            self.name,
            self.model,
            self.vocabularies,
            self.made_by,
            self.read_by,
            self.attributes,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles open extractor and text encoder again when they need them: the
        networks of the first hold sessions, which cannot be copied."""
        state = self.__dict__.copy()
        if self.made_by is not None and self.made_by.get("options") is not None:
            state["_extractor"] = None
        if self.read_by is not None and self.read_by.get("name") == MINILM:
            state["_text_encoder"] = None
        return state

    def extra_repr(self) -> str:
        return "" if self.model is not None else f"{self.name!r}, not trained"


def prepared(
    dataset: SceneGraphDataset, folder: Path | None, extractor: Callable[[], Extractor]
) -> SceneGraphDataset:
    """The dataset with graphs of its images and texts, without what cannot be read.

    Args:
        dataset (SceneGraphDataset): Images with captions.
        folder (Path, optional): Where graphs of images that are files are kept.
        extractor (callable): Gives what makes them; called only if there are any.
    """
    check_captioned(dataset)
    if any(needs_graph(image) for image in dataset.images):
        dataset = with_graphs(dataset, folder, extractor())
    return with_parses(with_known_images(dataset))


def named(dataset: SceneGraphDataset, attributes: AttributeHead | None) -> SceneGraphDataset:
    """The dataset with the attributes that a head names.

    Args:
        dataset (SceneGraphDataset): Images with graphs.
        attributes (AttributeHead, optional): The head.
    """
    if attributes is None:
        return dataset
    return dataset.replace(images=with_attributes(dataset.images, dataset.features, attributes))


def reader_of_words(encoder: TextEncoder | None, folder: Path | None = None) -> WordFeatures | None:
    """What gives the features of the words of texts.

    Args:
        encoder (TextEncoder, optional): What makes them.
        folder (Path, optional): Where they are kept. (default: :obj:`None`)
    """
    return None if encoder is None else partial(word_features, encoder=encoder, folder=folder)


def reader_of_labels(
    encoder: TextEncoder | None, folder: Path | None = None
) -> LabelFeatures | None:
    """What gives the features of the labels of images.

    Args:
        encoder (TextEncoder, optional): What makes them.
        folder (Path, optional): Where they are kept. (default: :obj:`None`)
    """
    return None if encoder is None else partial(label_features, encoder=encoder, folder=folder)
