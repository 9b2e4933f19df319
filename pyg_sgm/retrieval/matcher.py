"""A matcher with its vocabularies: from graphs and captions to scores, and to disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, Unpack

import torch
from torch import Tensor

from pyg_sgm.data.vectors import add_word_vectors
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.evaluation import with_class_features, with_query_bank
from pyg_sgm.evaluation.encode import feature_width
from pyg_sgm.models import GraphSizes, find_model
from pyg_sgm.models.explanation import Attention, Explanation
from pyg_sgm.models.serialization import (
    ATTRIBUTES,
    SavedModel,
    build_model,
    check_options,
    save_model,
)
from pyg_sgm.retrieval.encoded import EncodedImages, EncodedTexts
from pyg_sgm.retrieval.explain import explain_pair
from pyg_sgm.retrieval.inputs import ImageInput, Images, TextInput, Texts, text_graphs
from pyg_sgm.retrieval.prepare import (
    check_captioned,
    extractor_of,
    needs_graph,
)
from pyg_sgm.retrieval.scoring import named, prepared, reader_of_labels, reader_of_words
from pyg_sgm.retrieval.searcher import Searcher
from pyg_sgm.text import TextEncoder, open_text_encoder
from pyg_sgm.text.encoder import describe_text_encoder
from pyg_sgm.training import (
    Recipe,
    RecipeFields,
    check_fit,
    find_recipe,
    fit,
    learn_attributes,
)
from pyg_sgm.training.edits import training_edits, with_edits
from pyg_sgm.training.run_dir import GRAPHS, VECTORS, is_first_process, run_dir
from pyg_sgm.vision import AttributeHead, Extractor
from pyg_sgm.vision.backbones.registry import class_layer, has_classes, imagenet_classes
from pyg_sgm.vision.description import describe

_SOME_IMAGES = 256  # whose regions tell the mean of what regions are called


class SceneGraphMatcher(Searcher):
    """Matches images with texts by their scene graphs.

    Images are files (a string is a path), pixels, records, graphs or a dataset; texts are captions
    (a string is a caption), records, graphs or a dataset. Results are in the order of what is
    passed in, and indices are positions in it.

    Args:
        model (str or type): Name of a registered model, or its class. (default: :obj:`"sgm"`)
        **options: Arguments of the model, which overrule those of a recipe.

    Raises:
        ValueError: If there is no such model, or it has no such option.

    Example:
        >>> from pyg_sgm import SceneGraphMatcher
        >>> from pyg_sgm.datasets import SceneWorld
        >>> world = SceneWorld("train", num_images=8, captions_per_image=2)
        >>> matcher = SceneGraphMatcher("sgm", dim=16, hidden=16, embed=8)
        >>> matcher = matcher.fit(world, epochs=1, progress=False)
        >>> matcher.score(world, ["a dog chasing a cat", "a cat"]).shape
        torch.Size([8, 2])
        >>> best = matcher.search_images("a dog chasing a cat", world, k=3)
        >>> [candidate.rank for candidate in best], best[0].score >= best[1].score
        ([1, 2, 3], True)
    """

    def fit(
        self,
        dataset: SceneGraphDataset,
        dev: SceneGraphDataset | None = None,
        recipe: str | Recipe = "default",
        *,
        word_vectors: str | os.PathLike[str] | None = None,
        out: str | os.PathLike[str] | None = None,
        seed: int = 0,
        devices: int = 1,
        accelerator: str = "auto",
        gather_negatives: bool = False,
        resume: bool = False,
        overwrite: bool = False,
        progress: bool = True,
        settings: Mapping[str, Any] | None = None,
        **changes: Unpack[RecipeFields],
    ) -> Self:
        """Trains from scratch, also a matcher that was opened. The metrics of every epoch are in
        :attr:`history` afterwards.

        Captions without a graph are parsed, and images that are files without a graph go through
        :func:`~pyg_sgm.retrieval.with_graphs`, with :attr:`extractor`, or one that is chosen as
        there. Images that cannot be read are left out with their texts. What can be checked is
        checked before that. With the field ``text_encoder`` of the recipe, words are the vectors of
        a language model, kept in ``words.vec`` of the run, and labels start from them.

        Args:
            dataset (SceneGraphDataset): What is trained on; its words and labels make the
                vocabularies.
            dev (SceneGraphDataset, optional): Where the best weights are chosen, by rsum. (default:
                :obj:`None`, the last ones)
            recipe (str or Recipe, optional): A recipe, or its name. (default: :obj:`"default"`)
            word_vectors (str or PathLike, optional): A file of word vectors that embeddings start
                from, for :func:`~pyg_sgm.data.read_word_vectors`. All its words become known, also
                those that the training texts lack. (default: :obj:`None`)
            out (str or PathLike, optional): Folder of the run. (default: :obj:`None`, nothing is
                written)
            seed (int, optional): Initial weights, order of the batches, dropout. (default:
                :obj:`0`)
            devices (int, optional): Processes that share each batch. (default: :obj:`1`)
            accelerator (str, optional): As Lightning names it. (default: :obj:`"auto"`)
            gather_negatives (bool, optional): Let every device see the batches of all of them.
                (default: :obj:`False`)
            resume (bool, optional): Go on with the run in ``out``. (default: :obj:`False`)
            overwrite (bool, optional): Replace the run in ``out``. (default: :obj:`False`)
            progress (bool, optional): Show a progress bar. (default: :obj:`True`)
            settings (dict, optional): What else the run depends on, see
                :func:`pyg_sgm.training.fit`. (default: none)
            **changes: Fields of the recipe to change, such as ``epochs=5``; see
                :class:`~pyg_sgm.training.Recipe`.

        Raises:
            ValueError: If there is no such recipe or field of it, the model does not take its
                options, or as :func:`pyg_sgm.training.fit`.
            ImportError: Without Lightning.
        """
        chosen = find_recipe(self.name, recipe) if isinstance(recipe, str) else recipe
        chosen = chosen.replace(**changes).with_model_options(**self.options)
        check_options(self.name, chosen.options)
        check_fit(
            chosen,
            out,
            devices=devices,
            accelerator=accelerator,
            resume=resume,
            overwrite=overwrite,
        )
        if word_vectors is not None and not Path(word_vectors).is_file():
            raise FileNotFoundError(f"{word_vectors}: there is no such file of word vectors")
        check_captioned(dataset)
        encoder = self._chosen_encoder(chosen.text_encoder)
        if encoder is not None and word_vectors is not None:
            raise ValueError("word_vectors and text_encoder exclude each other")
        takes = find_model(self.name).reads_labels(chosen.options)
        for asked in ("read_labels", "read_classes"):
            if getattr(chosen, asked) in (False, "auto"):
                continue
            if encoder is None:
                raise ValueError(f"{asked}: there is no text_encoder that could read them")
            if not takes:
                raise ValueError(
                    f"{asked}: the model {self.name!r} takes no features of labels "
                    "(sgm does, with fusion='sum')"
                )
        run = None if out is None else Path(out)
        folder = None if run is None else run / GRAPHS
        with run_dir(run, resume, overwrite, preparing=True):
            # Until all went well, the matcher stays what it was.
            extractor, made_by = self._chosen_extractor(dataset, folder)
            # Before all that takes long: there may be no classes of these features.
            read = chosen.read_classes if takes and encoder is not None else False
            layer = _class_layer(read, made_by)

            def opened() -> Extractor:
                return extractor or self.extractor

            dataset, attributes = prepared(dataset, folder, opened), None
            if chosen.attribute_words:
                known = None if run is None or not resume else run / ATTRIBUTES
                attributes = _learned(dataset, chosen.attribute_words, known, seed)
                dataset = named(dataset, attributes)
            dev = None if dev is None else named(prepared(dev, folder, opened), attributes)
            vocabularies = dataset.vocabularies(chosen.min_count)
            vectors: dict[str, tuple[Tensor, Tensor]] = {}
            if word_vectors is not None:
                vocabularies, vectors = add_word_vectors(vocabularies, word_vectors)
                width = next(iter(vectors.values()))[0].size(1)
                chosen = chosen.with_model_options(**{"embed": width, **chosen.options})
                if chosen.options["embed"] != width:
                    raise ValueError(
                        f"{word_vectors}: vectors of {width} numbers, embed is "
                        f"{chosen.options['embed']}: set embed={width} (--set embed={width})"
                    )
            width = 0
            if encoder is not None:
                vectors, width = encoder.labels(vocabularies), encoder.width
                chosen = chosen.with_model_options(embed=encoder.dim)
            kept = None if run is None else run / VECTORS
            read_words = reader_of_words(encoder, kept)
            read_labels = reader_of_labels(encoder if chosen.read_labels else None, kept)
            graphs = dataset.encode(vocabularies, read_words, read_labels)
            if chosen.edit_weight:
                of_text = dataset.image_of_text.tolist()
                edits = training_edits(dataset.texts, of_text, chosen.edit_kinds)
                graphs = with_edits(graphs, edits, vocabularies.words, read_words)
            classes = [] if layer is None else imagenet_classes()
            sizes = GraphSizes.of(
                vocabularies,
                feature_width(graphs.images),
                width,
                width if chosen.read_labels else 0,
                len(classes),
            )
            model = build_model(self.name, sizes, chosen.options, seed)
            model.init_embeddings(**{k: v for k, v in vectors.items() if k in model.embeddings()})
            if encoder is not None and layer is not None:
                model.init_classes(*layer, encoder.phrases(classes), _some_features(dataset))
            graphs = replace(graphs, images=with_class_features(model, graphs.images))
            dev_graphs = None if dev is None else dev.encode(vocabularies, read_words, read_labels)
        vector_file = None if word_vectors is None else os.fspath(word_vectors)
        read_by = None if encoder is None else describe_text_encoder(encoder)
        history = fit(
            SavedModel(self.name, model, vocabularies, made_by, read_by, attributes),
            graphs,
            chosen,
            dev_graphs,
            out,
            seed=seed,
            devices=devices,
            accelerator=accelerator,
            gather_negatives=gather_negatives,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            settings={"word_vectors": vector_file, **(settings or {})},
        )
        if chosen.query_bank:
            model = with_query_bank(model, graphs, chosen.query_bank)
        self.model, self.vocabularies, self.history = model, vocabularies, history
        self._extractor, self.made_by = extractor, made_by
        self._text_encoder, self.read_by = encoder, read_by
        self.attributes = attributes
        if chosen.query_bank and out is not None and is_first_process():
            save_model(out, self._saved())
        return self

    def explain(
        self, image: ImageInput | Images, text: TextInput | Texts
    ) -> Explanation | Attention:
        """What the model tells of a score: which word matched which object and which triplet which
        relation, or the attention of the text's nodes on the image's; of a model that compares
        graphs as wholes, the score alone.

        Args:
            image (ImageInput or Images): One image: see :meth:`search_texts`; or a dataset or
                collection of one.
            text (TextInput or Texts): One text: see :meth:`search_images`; or a dataset or
                collection of one.

        Raises:
            ValueError: If there is not one of each, or the image cannot be read.
        """
        saved = self._saved()
        if isinstance(image, EncodedImages) or isinstance(text, EncodedTexts):
            raise ValueError("explain: give the image and the text, not what they are encoded to")
        shown = self._image_graphs(image)
        told = text_graphs(text, saved.vocabularies, self._word_features())
        return explain_pair(saved.model, shown, told, saved.vocabularies)

    def _chosen_extractor(
        self, dataset: SceneGraphDataset, folder: Path | None
    ) -> tuple[Extractor | None, Mapping[str, Any] | None]:
        """The extractor of a training, if it is open, and what describes it: one that was set
        before; of a trained matcher its own, unless the images are no files."""
        if self.made_by is None and any(needs_graph(image) for image in dataset.images):
            extractor = extractor_of(folder)
            return extractor, describe(extractor)
        if self.model is not None and all(image.file is None for image in dataset.images):
            return None, None
        return self._extractor, self.made_by

    def _chosen_encoder(self, name: str | None) -> TextEncoder | None:
        """The text encoder of a training: one that was set before, else that of the recipe."""
        if self._text_encoder is None or self.model is not None:
            return None if name is None else open_text_encoder(name)
        return self._text_encoder


def _class_layer(
    read: bool | Literal["auto"], made_by: Mapping[str, Any] | None
) -> tuple[Tensor, Tensor] | None:
    """What tells the classes of region features, if they are to be read."""
    options = {} if made_by is None else made_by.get("options")
    name = options.get("backbone") if isinstance(options, Mapping) else None
    if not read or (read == "auto" and not (isinstance(name, str) and has_classes(name))):
        return None
    if not isinstance(name, str):
        raise ValueError(
            "read_classes: nothing tells which backbone made the region features: train on photos, "
            "or on a folder of graphs that were made of photos"
        )
    return class_layer(name)


def _some_features(dataset: SceneGraphDataset) -> Tensor:
    """Features of the objects of some images, spread over all, ``[num_objects, dim]``."""
    features = dataset.features["object"]
    images = torch.arange(0, dataset.num_images, -(-dataset.num_images // _SOME_IMAGES))
    return features.rows[features.select(images).spans.rows()].float()


def _learned(
    dataset: SceneGraphDataset, num_words: int, known: Path | None, seed: int
) -> AttributeHead:
    """What names objects; that of a run that is resumed."""
    if known is not None and known.exists():
        return AttributeHead.load(known)
    of_text = dataset.image_of_text.tolist()
    return learn_attributes(
        dataset.images, dataset.features, dataset.texts, of_text, num_words, seed
    )
