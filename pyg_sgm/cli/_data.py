"""Data as the commands name them."""

from pathlib import Path

from pyg_sgm.data import TextRecord
from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.retrieval import with_parses
from pyg_sgm.text import parse
from pyg_sgm.training.run_folder import PARSES


def open_data(data: str, split: str, run: Path) -> SceneGraphDataset:
    """A dataset with parsed captions, which are kept beside the run."""
    return with_parses(open_dataset(data, split), run / PARSES)


def find_text(text: str, *datasets: SceneGraphDataset) -> TextRecord:
    """A caption of the data with its graph there, else a parsed text."""
    for dataset in datasets:
        for record in dataset.texts:
            if record.caption == text and record.objects:
                return record
    return parse(text).to_record()


def image_index(image: str, dataset: SceneGraphDataset) -> int:
    """Position of an image by its name."""
    if image not in dataset.image_ids:
        some = ", ".join(dataset.image_ids[:3])
        raise ValueError(f"--image: no {image!r} among {len(dataset.images)} images: {some}, ...")
    return dataset.image_ids.index(image)
