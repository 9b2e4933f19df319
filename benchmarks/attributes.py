"""Which adjectives of objects do pixels, and a head trained on captions, get right?

    python benchmarks/attributes.py --data flickr8k:FOLDER --graphs f8k.sg --cache parses.jsonl \
        --out benchmarks/results

Weak labels: the adjectives that the captions of an image give to a noun whose object a detector
found (``pyg_sgm.training.said_of_objects``); train.txt is learned from, dev.txt scored. The head
(``pyg_sgm.training.learn_attributes``, 3 seeds) and the color rule of ``pyg_sgm.vision.colors``
stand beside how frequent an adjective is for a label. Writes and prints ``attributes.json``:

* precision at 1 among the colors, of objects that captions give one;
* average precision over all pairs of an object with adjectives and an adjective, and the mean of
  those of adjectives that are said of five objects or more;
* what is named (at a probability of at least .35): how many adjectives an object, and which share
  of them its captions say, which is a lower bound of those that are true;
* probe: how often the color of the captions scores above one they do not give (chance 0.5);
* size: how often an object that is called large has a larger box than one that is called small.
"""

import argparse
import json
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data import Ragged
from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.retrieval import with_parses
from pyg_sgm.training import learn_attributes, said_of_objects
from pyg_sgm.vision import open_graphs, read_image
from pyg_sgm.vision.attributes import LEAST
from pyg_sgm.vision.colors import COLORS, color_evidence, color_shares

LARGE, SMALL = {"large", "big", "huge", "giant"}, {"small", "little", "tiny", "smaller"}
SEEDS = 3


@dataclass
class Described:
    """Objects that captions describe, a row each."""

    label: list[str]
    adjectives: list[set[str]]
    area: Tensor  # of the image, [num_objects]
    features: Tensor  # [num_objects, dim]
    color: Tensor | None = None  # evidence of the rule [num_objects, len(COLORS)]


def read(data: str, split: str, graphs: Path, cache: Path) -> SceneGraphDataset:
    """A split with the graphs of its photos and parsed captions."""
    dataset = with_parses(open_dataset(data, split), cache)
    records, features = open_graphs(graphs)
    row_of = {record.id: row for row, record in enumerate(records)}
    dataset = dataset.select_images(i for i, id in enumerate(dataset.image_ids) if id in row_of)
    rows = torch.tensor([row_of[id] for id in dataset.image_ids])
    made: dict[str, Ragged] = {node: part.select(rows) for node, part in features.items()}
    return dataset.replace(images=[records[row] for row in rows.tolist()], features=made)


def described(dataset: SceneGraphDataset, words: list[str] | None = None) -> Described:
    """The objects of which captions say any of the words."""
    said = said_of_objects(dataset.images, dataset.texts, dataset.image_of_text.tolist())
    if words is not None:
        said = {place: kept for place, own in said.items() if (kept := own & set(words))}
    start = dataset.features["object"].spans.start
    boxes = torch.tensor(np.stack([dataset.images[image].boxes[i] for image, i in said]))
    rows = torch.tensor([int(start[image]) + i for image, i in said])
    return Described(
        [dataset.images[image].objects[i] for image, i in said],
        list(said.values()),
        (boxes[:, 2:] - boxes[:, :2]).prod(dim=1),
        dataset.features["object"].rows[rows].float(),
    )


def color_rule(dataset: SceneGraphDataset, files: SceneGraphDataset, words: list[str]) -> Tensor:
    """Evidence of colors of the objects of :func:`described`, ``[num_objects, len(COLORS)]``."""
    file_of = {image.id: image.file for image in files.images}
    said = said_of_objects(dataset.images, dataset.texts, dataset.image_of_text.tolist())
    rows = []
    for (image, i), own in said.items():
        if own & set(words):
            record = dataset.images[image]
            pixels = read_image(file_of[record.id])
            share = color_shares(pixels, record.boxes[i : i + 1])
            rows.append(color_evidence(pixels, share)[0])
    return torch.from_numpy(np.stack(rows)).float()


def frequency(train: Described, words: list[str], objects: Described) -> Tensor:
    """How often an object of the label is given each adjective in training."""
    overall, of_label, total = Counter(), defaultdict(Counter), Counter(train.label)
    for label, adjectives in zip(train.label, train.adjectives, strict=True):
        overall.update(adjectives)
        of_label[label].update(adjectives)
    count = len(train.label)
    rows = {
        label: [(of_label[label][w] + 5 * overall[w] / count) / (total[label] + 5) for w in words]
        for label in set(objects.label)
    }
    return torch.tensor([rows[label] for label in objects.label])


def one_hot(objects: Described, words: list[str]) -> Tensor:
    return torch.tensor([[float(w in given) for w in words] for given in objects.adjectives])


def color_figures(score: Tensor, truth: Tensor, weight: Tensor) -> dict[str, float]:
    """Precision at 1, and the probe: true against false colors, which count by frequency."""
    some = truth.sum(dim=1) > 0
    score, truth = score[some], truth[some]
    top = truth.gather(1, score.argmax(dim=1, keepdim=True)).mean()
    wins = (score[:, :, None] > score[:, None]).float() + (
        score[:, :, None] == score[:, None]
    ).float() / 2
    pairs = truth[:, :, None] * (1 - truth[:, None]) * weight
    return {"precision at 1": top.item(), "probe": ((wins * pairs).sum() / pairs.sum()).item()}


def average_precision(score: Tensor, truth: Tensor) -> float:
    hits = truth.flatten()[score.flatten().argsort(descending=True)]
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return ((precision * hits).sum() / hits.sum()).item()


def word_figures(score: Tensor, truth: Tensor) -> dict[str, float]:
    """Average precisions, and what is named of scores that are probabilities."""
    often = [word for word in range(truth.size(1)) if truth[:, word].sum() >= 5]
    named = score >= LEAST
    return {
        "average precision": average_precision(score, truth),
        "mean over adjectives": statistics.mean(
            average_precision(score[:, word], truth[:, word]) for word in often
        ),
        "named an object": named.sum().item() / len(named),
        "precision of named": truth[named].mean().item(),
    }


def size_figure(objects: Described) -> float:
    large = [bool(g & LARGE) and not g & SMALL for g in objects.adjectives]
    small = [bool(g & SMALL) and not g & LARGE for g in objects.adjectives]
    larger = objects.area[torch.tensor(large)][:, None] > objects.area[torch.tensor(small)]
    return larger.float().mean().item()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--graphs", type=Path, required=True)
    arguments.add_argument("--cache", type=Path, required=True, help="parses, read and added to")
    arguments.add_argument("--out", type=Path, required=True)
    args = arguments.parse_args()
    train, dev = (read(args.data, split, args.graphs, args.cache) for split in ("train", "dev"))
    of_text = train.image_of_text.tolist()
    heads = [
        learn_attributes(train.images, train.features, train.texts, of_text, 100, seed)
        for seed in range(SEEDS)
    ]
    words = heads[0].words
    known, scored = described(train, words), described(dev, words)
    count = Counter(word for given in known.adjectives for word in given)
    colors = list(COLORS)
    truth, color_truth = one_hot(scored, words), one_hot(scored, colors)
    weight = torch.tensor([float(count[c]) for c in colors])
    of_color = [words.index(c) for c in colors if c in words]

    def figures(score: Tensor) -> dict[str, float]:
        """Of scores of all adjectives; colors that are rarer than all of them come last."""
        only = torch.full((len(score), len(colors)), -torch.inf)
        only[:, [colors.index(words[at]) for at in of_color]] = score[:, of_color]
        return color_figures(only, color_truth, weight) | word_figures(score, truth)

    label = heads[0].label_index(scored.label)
    with torch.no_grad():
        found = [figures(torch.sigmoid(head(scored.features, label))) for head in heads]
    rule = color_rule(dev, open_dataset(args.data, "dev"), words)
    results = {
        "objects": {"train": len(known.label), "dev": len(scored.label)},
        "adjectives": len(words),
        "objects with color": int((color_truth.sum(dim=1) > 0).sum()),
        "frequency": figures(frequency(known, words, scored)),
        "color rule": color_figures(rule, color_truth, weight),
        "head": {
            name: [
                statistics.mean(h[name] for h in found),
                statistics.stdev(h[name] for h in found),
            ]
            for name in found[0]
        },
        "size by area": size_figure(described(dev)),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    rounded = json.loads(json.dumps(results), parse_float=lambda x: round(float(x), 4))
    text = json.dumps(rounded, indent=1)
    (args.out / "attributes.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
