"""Extractors by the words that the command line gives."""

import os
from collections.abc import Sequence

from pyg_sgm._deprecated import renamed_arguments
from pyg_sgm.vision.backbones.registry import DEFAULT_BACKBONE, full_names
from pyg_sgm.vision.colors import color_attributes
from pyg_sgm.vision.detectors.registry import full_name, open_detector, read_labels
from pyg_sgm.vision.extraction import Extractor
from pyg_sgm.vision.region_features import DEFAULT_SIZE, RegionFeatures
from pyg_sgm.vision.relations.head import WEIGHTS, RelationHead


@renamed_arguments(half="dtype", colours="colors")
def open_extractor(
    detector: str = "grid",
    *,
    labels: str | os.PathLike[str] | Sequence[str] | None = None,
    min_score: float | None = None,
    backbone: str = DEFAULT_BACKBONE,
    size: int = DEFAULT_SIZE,
    dtype: str = "float32",
    merge: bool = True,
    pairs: int = 0,
    relations: str | os.PathLike[str] | None = None,
    colors: bool = True,
) -> Extractor:
    """An extractor with the shipped relation head and colors as attributes.

    Its :attr:`~Extractor.options` are these arguments, files by their full paths.

    Args:
        detector (str, optional): See :func:`open_detector`. (default: :obj:`"grid"`)
        labels (str, PathLike or list of str, optional): See :func:`open_detector`. (default:
            :obj:`None`)
        min_score (float, optional): See :func:`open_detector`. (default: :obj:`None`)
        merge (bool, optional): See :func:`open_detector`. (default: :obj:`True`)
        backbone (str, optional): See :class:`RegionFeatures`.
        size (int, optional): See :class:`RegionFeatures`.
        dtype (str, optional): See :class:`RegionFeatures`. (default: :obj:`"float32"`)
        pairs (int, optional): See :class:`Extractor`. (default: :obj:`0`)
        relations (str or PathLike, optional): File of a relation head. (default: :obj:`None`, the
            shipped one)
        colors (bool, optional): Whether the attributes are
            :func:`~pyg_sgm.vision.colors.color_attributes`; else there are none. (default:
            :obj:`True`)

    Raises:
        FileNotFoundError, ImportError, ValueError: What its parts raise.
    """
    if isinstance(dtype, bool):  # an argument of version 0.1, half
        dtype = "bfloat16" if dtype else "float32"
    return Extractor(
        open_detector(detector, labels=labels, min_score=min_score, merge=merge),
        RegionFeatures(backbone, size=size, dtype=dtype),
        RelationHead.load(WEIGHTS if relations is None else relations),
        color_attributes if colors else None,
        pairs=pairs,
        options={
            "detector": full_name(detector),
            "labels": None if labels is None else read_labels(labels),
            "min_score": min_score,
            "backbone": full_names(backbone),
            "size": size,
            "dtype": dtype,
            "merge": merge,
            "pairs": pairs,
            "relations": None if relations is None else os.path.abspath(relations),
            "colors": colors,
        },
    )
