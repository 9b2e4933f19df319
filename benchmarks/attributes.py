"""Which adjectives of regions do pixels, and a head trained on captions, get right?

    python benchmarks/attributes.py --data flickr8k:FOLDER --graphs f8k.sg \
        --out benchmarks/results

Weak labels: the adjectives that the captions of an image give to a noun whose region a detector
found (the largest of its label), and those of a person's clothes; train.txt is learned from,
dev.txt scored. A head on region features (3 seeds, not part of the library) and the color rule
of ``pyg_sgm.vision.colors`` stand beside how frequent an adjective is for a label. Writes and
prints ``attributes.json``:

* precision at 1 among the colors, of regions that captions give one;
* average precision over all pairs of a region with adjectives and an adjective;
* probe: how often the color of the captions scores above one they do not give (chance 0.5);
* size: how often a region that is called large has a larger box than one that is called small.
"""

import argparse
import json
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyg_sgm.datasets import open_dataset
from pyg_sgm.text import parse_batch
from pyg_sgm.vision import open_graphs, read_image
from pyg_sgm.vision.colors import COLORS, color_evidence, color_shares


def words_of(text: str) -> set[str]:
    return set(text.split())


PERSON = words_of(
    "man woman boy girl child people person kid baby lady player toddler skateboarder snowboarder "
    "skier surfer biker rider climber hiker adult guy cyclist bicyclist skater runner swimmer "
    "performer teenager jumper dancer"
)
CLOTHES = words_of(
    "shirt jacket dress hat coat shorts pants jeans uniform outfit costume suit jersey sweater "
    "t-shirt cap helmet vest clothing clothes hoodie swimsuit bikini top trunks wetsuit skirt "
    "robe"
)
SAME = {
    **{"puppy": "dog", "bike": "bicycle", "ball": "sports ball", "plane": "airplane"},
    **{"grey": "gray", "light brown": "brown", "dark brown": "brown", "light blue": "blue"},
    **{"dark blue": "blue", "blond": "blonde", "golden": "gold"},
}
COUNTS = {"2", "3", "4", "5", "6", "group of"}
LARGE, SMALL = {"large", "big", "huge", "giant"}, {"small", "little", "tiny", "smaller"}
SEEDS = 3


@dataclass
class Regions:
    """Regions that captions describe, a row each."""

    label: list[str]
    adjectives: list[set[str]]
    area: Tensor  # of the image, [num_regions]
    color: Tensor  # evidence of the rule [num_regions, len(COLORS)]
    features: Tensor  # [num_regions, dim]


def label_of(noun: str, labels: set[str]) -> str | None:
    word = noun.split()[-1]
    if word in PERSON or word in CLOTHES:
        return "person"
    name = SAME.get(word, word)
    return name if name in labels else None


def read_regions(data: str, split: str, graphs: Path) -> Regions:
    dataset = open_dataset(data, split)
    records, features = open_graphs(graphs)
    row_of = {record.id: row for row, record in enumerate(records)}
    labels = {label for record in records for label in record.objects}
    parsed = parse_batch([text.caption for text in dataset.texts])
    given: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for image, text in zip(dataset.image_of_text.tolist(), parsed, strict=True):
        for at, adjective in text.attributes:
            label = label_of(text.objects[at], labels)
            if label and adjective not in COUNTS:
                given[image][label].add(SAME.get(adjective, adjective))

    rows: list[int] = []
    out = Regions([], [], torch.zeros(0), torch.zeros(0), torch.zeros(0))
    areas, colors = [], []
    for image, of_label in given.items():
        record = dataset.images[image]
        if record.id not in row_of:
            continue  # could not be read
        row = row_of[record.id]
        graph, pixels = records[row], None
        area = np.prod(graph.boxes[:, 2:] - graph.boxes[:, :2], axis=1)
        score = np.asarray(graph.scores["object"])
        for label, adjectives in of_label.items():
            found = [j for j, name in enumerate(graph.objects) if name == label and score[j] >= 0.3]
            if found:
                best = max(found, key=lambda j: area[j] * score[j])
                pixels = read_image(record.file) if pixels is None else pixels
                share = color_shares(pixels, graph.boxes[best : best + 1])
                colors.append(color_evidence(pixels, share)[0])
                areas.append(float(area[best]))
                rows.append(int(features["object"].spans.start[row]) + best)
                out.label.append(label)
                out.adjectives.append(adjectives)
    out.area, out.color = torch.tensor(areas), torch.from_numpy(np.stack(colors)).float()
    out.features = torch.as_tensor(features["object"].rows[torch.tensor(rows)]).float()
    return out


def frequency(train: Regions, words: list[str], regions: Regions) -> Tensor:
    """How often a region of the label is given each adjective in training."""
    overall, of_label, total = Counter(), defaultdict(Counter), Counter(train.label)
    for label, adjectives in zip(train.label, train.adjectives, strict=True):
        overall.update(adjectives)
        of_label[label].update(adjectives)
    count = len(train.label)
    rows = {
        label: [(of_label[label][w] + 5 * overall[w] / count) / (total[label] + 5) for w in words]
        for label in set(regions.label)
    }
    return torch.tensor([rows[label] for label in regions.label])


def head_scores(train: Regions, truth: Tensor, regions: Regions, seed: int) -> Tensor:
    torch.manual_seed(seed)
    labels = sorted(set(train.label))
    mean, std = train.features.mean(dim=0), train.features.std(dim=0) + 1e-3

    def inputs(part: Regions) -> Tensor:
        label = [labels.index(name) if name in labels else 0 for name in part.label]
        one_hot = F.one_hot(torch.tensor(label), len(labels)).float()
        return torch.cat([(part.features - mean) / std, 3 * one_hot], dim=1)

    x = inputs(train)
    head = nn.Sequential(
        *(nn.Dropout(0.5), nn.Linear(x.size(1), 256), nn.ReLU()),
        *(nn.Dropout(0.5), nn.Linear(256, truth.size(1))),
    )
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.1)
    for _ in range(12):
        for batch in torch.randperm(len(x)).split(128):
            value = F.binary_cross_entropy_with_logits(head(x[batch]), truth[batch])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    with torch.no_grad():
        return head.eval()(inputs(regions))


def one_hot(regions: Regions, words: list[str]) -> Tensor:
    return torch.tensor([[float(w in given) for w in words] for given in regions.adjectives])


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
    some = truth.sum(dim=1) > 0
    hits = truth[some].flatten()[score[some].flatten().argsort(descending=True)]
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return ((precision * hits).sum() / hits.sum()).item()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--graphs", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    args = arguments.parse_args()
    train, dev = (read_regions(args.data, split, args.graphs) for split in ("train", "dev"))
    count = Counter(word for given in train.adjectives for word in given)
    words = [word for word, n in count.most_common() if n >= 25]
    colors = list(COLORS)
    truth, color_truth = one_hot(dev, words), one_hot(dev, colors)
    weight = torch.tensor([float(count[c]) for c in colors])
    of_color = [words.index(c) for c in colors if c in words]

    def figures(score: Tensor) -> dict[str, float]:
        """Of scores of all adjectives; colors that are rarer than all of them come last."""
        only = torch.full((len(score), len(colors)), -torch.inf)
        only[:, [colors.index(words[at]) for at in of_color]] = score[:, of_color]
        found = color_figures(only, color_truth, weight)
        return found | {"average precision": average_precision(score, truth)}

    heads = [figures(head_scores(train, one_hot(train, words), dev, s)) for s in range(SEEDS)]
    results = {
        "regions": {"train": len(train.label), "dev": len(dev.label)},
        "adjectives": len(words),
        "regions with color": int((color_truth.sum(dim=1) > 0).sum()),
        "frequency": figures(frequency(train, words, dev)),
        "color rule": color_figures(dev.color, color_truth, weight),
        "head": {
            name: [
                statistics.mean(h[name] for h in heads),
                statistics.stdev(h[name] for h in heads),
            ]
            for name in heads[0]
        },
        "size by area": size_figure(dev),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    rounded = json.loads(json.dumps(results), parse_float=lambda x: round(float(x), 4))
    text = json.dumps(rounded, indent=1)
    (args.out / "attributes.json").write_text(text + "\n")
    print(text)


def size_figure(regions: Regions) -> float:
    large = [bool(g & LARGE) and not g & SMALL for g in regions.adjectives]
    small = [bool(g & SMALL) and not g & LARGE for g in regions.adjectives]
    larger = regions.area[torch.tensor(large)][:, None] > regions.area[torch.tensor(small)]
    return larger.float().mean().item()


if __name__ == "__main__":
    main()
