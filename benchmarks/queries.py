"""What are queries, chances and re-ranking worth on photos that a run has not seen?

    python benchmarks/queries.py --run runs/sgm --prior runs/vse --data flickr8k:FOLDER \
        --split dev --graphs photos.sg --detector ...

Everything that is fitted is fitted on one half of the images with their captions and measured on
the other, both ways. What is in a photo is read from its captions: a word that none of them has
counts as absent.
"""

import argparse
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyg_sgm.cli._data import set_detector
from pyg_sgm.data import TextRecord
from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.evaluation.encode import evaluating
from pyg_sgm.io import write_json
from pyg_sgm.retrieval import (
    EncodedImages,
    EncodedTexts,
    Query,
    SceneGraphMatcher,
    encode_query,
    fit_weight,
    prior_part,
    score_query,
    with_graphs,
    with_parses,
)
from pyg_sgm.retrieval.missing import phrase_similarities
from pyg_sgm.retrieval.reranking import first_rank
from pyg_sgm.text import graph_record
from pyg_sgm.text.words import noun_lemma

PLACES = (1, 5, 10)
CANDIDATES = 100
WANTED = ("dog", "man", "woman", "boy", "girl", "child", "person")
DENIED = ("hat", "ball", "water", "grass", "snow", "bike", "dog", "shirt", "beach", "helmet",
          "street", "toy", "woman", "man", "tree", "car", "camera")  # fmt: skip
OTHERS = 8  # photos in which each text's phrases are looked for, beside its own


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--prior", type=Path, required=True, help="run whose answers are re-ranked")
    parser.add_argument("--data", required=True, help="as for pyg-sgm train")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--graphs", type=Path, required=True, help="folder of the graphs of photos")
    parser.add_argument("--detector", help="what made them, if it is not shipped")
    parser.add_argument("--parses", type=Path, help="file of the parses of captions without graphs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/queries.json"))
    args = parser.parse_args()
    torch.manual_seed(0)
    matcher = SceneGraphMatcher.from_pretrained(args.run)
    if args.detector is not None:
        set_detector(matcher, args.run, args.detector)
    dataset = with_parses(open_dataset(args.data, args.split), args.parses)
    dataset = with_graphs(dataset, args.graphs, matcher.extractor)
    images, texts = matcher.encode_images(dataset), matcher.encode_texts(dataset)
    scores = matcher.score(images, texts)
    result: dict[str, Any] = {"unit": "fraction", "run": run_of(args.run)}
    result |= {"prior": run_of(args.prior)}
    result["rerank"] = reranking(scores, prior_scores(args.prior, dataset), dataset.image_of_text)
    calibration = matcher.calibrate(dataset)
    result["calibration"] = {"error": calibration.error, "ceiling": calibration.ceiling}
    result["missing"] = missing(matcher, dataset, images, texts)
    result["exclusions"] = exclusions(matcher, dataset, images)
    result["graphs"] = graphs(matcher, dataset, images, scores)
    write_json(args.out, result)
    print(args.out.read_text())


def run_of(folder: Path) -> dict[str, Any]:
    matcher = SceneGraphMatcher.from_pretrained(folder)
    epochs = (folder / "logs/metrics.csv").read_text().count("\n") - 1
    return {"model": matcher.name, "epochs": epochs}


def prior_scores(folder: Path, dataset: SceneGraphDataset) -> Tensor:
    return SceneGraphMatcher.from_pretrained(folder).score(dataset, dataset)


def recalls(ranks: list[float]) -> dict[str, float]:
    return {f"r{k}": sum(rank <= k for rank in ranks) / len(ranks) for k in PLACES}


def reranking(scores: Tensor, prior: Tensor, image_of_text: Tensor) -> dict[str, Any]:
    """Recalls of images for texts before and after the first hundred of the prior are put in
    order."""
    num_texts = scores.size(1)
    top = prior.topk(CANDIDATES, dim=0).indices.t()  # [num_texts, CANDIDATES]
    ours = [scores[rows, t] for t, rows in enumerate(top)]
    theirs = [prior[rows, t] for t, rows in enumerate(top)]
    own = [rows == image for rows, image in zip(top, image_of_text, strict=True)]

    def ranks(total: Callable[[int], Tensor], chosen: list[int]) -> list[float]:
        return [first_rank(total(t), own[t]) if own[t].any() else float("inf") for t in chosen]

    def mixed(weight: float) -> Callable[[int], Tensor]:
        return lambda t: ours[t] + prior_part(ours[t], theirs[t], weight)

    halves = [[t for t in range(num_texts) if int(image_of_text[t]) % 2 == s] for s in (0, 1)]
    weights, both = [], []
    for queries, others in (halves, halves[::-1]):
        chosen = ([part[t] for t in others] for part in (ours, theirs, own))
        weights.append(fit_weight(*chosen))
        both += ranks(mixed(weights[-1]), queries)
    every = list(range(num_texts))
    return {
        "candidates": CANDIDATES,
        "among_candidates": sum(bool(each.any()) for each in own) / num_texts,
        "before": recalls(ranks(theirs.__getitem__, every)),
        "by_scores": recalls(ranks(ours.__getitem__, every)),
        "by_both": recalls(both),
        "weights": weights,
        "scores_of_all": recalls(
            [first_rank(scores[:, t], torch.arange(len(scores)) == image_of_text[t]) for t in every]
        ),
    }


def words_of(dataset: SceneGraphDataset) -> list[Counter[str]]:
    """How many captions of each image have a noun."""
    found: list[Counter[str]] = [Counter() for _ in dataset.images]
    for text, image in zip(dataset.texts, dataset.image_of_text.tolist(), strict=True):
        found[image].update({noun_lemma(word) for word in text.words})
    return found


def missing(
    matcher: SceneGraphMatcher,
    dataset: SceneGraphDataset,
    images: EncodedImages,
    texts: EncodedTexts,
) -> dict[str, float]:
    """Shares of the objects of captions that are told to be missing, in their own photos and in
    others of which no caption has the word; the threshold is that of the other half."""
    said, choose = words_of(dataset), random.Random(0)
    similar: list[tuple[int, bool, float]] = []  # half, own, similarity
    chosen = choose.sample(range(len(dataset.texts)), min(1000, len(dataset.texts)))
    with evaluating(matcher.saved.model) as model:
        for t in chosen:
            text, own = dataset.texts[t], int(dataset.image_of_text[t])
            for image in (own, *choose.sample(range(len(dataset.images)), OTHERS)):
                explanation: Any = model.explain(
                    images.encoding.select(torch.tensor([image])),
                    texts.encoding.select(torch.tensor([t])),
                    dataset.images[image],
                    text,
                )
                values = phrase_similarities(explanation).objects
                similar += [
                    (own % 2, image == own, value)
                    for phrase, value in zip(text.objects, values, strict=True)
                    if value is not None and (image == own or phrase.split()[-1] not in said[image])
                ]
    lost = {True: 0, False: 0}
    for half in (0, 1):
        there = torch.tensor([v for h, own, v in similar if own and h != half])
        least = float(there.quantile(0.1))
        for h, own, value in similar:
            lost[own] += h == half and value < least
    count = Counter(own for _, own, _ in similar)
    return {
        "own_told_missing": lost[True] / count[True],
        "absent_told_missing": lost[False] / count[False],
        "own": count[True],
        "absent": count[False],
    }


def exclusions(
    matcher: SceneGraphMatcher, dataset: SceneGraphDataset, images: EncodedImages
) -> dict[str, Any]:
    """Of the first ten photos for "a X without a Y": shares with the thing that is denied, and of
    those that have X and not Y, by their captions."""
    said = words_of(dataset)

    def photos(word: str, least: int) -> Tensor:
        return torch.tensor([count[word] >= least for count in said])

    ways: dict[str, Callable[[str, str], Query | TextRecord]] = {
        "wanted_alone": lambda x, y: Query.of(f"a {x}"),
        "sentence_as_caption": lambda x, y: plain(f"a {x} without a {y}"),
        "excluded": lambda x, y: Query.of(f"a {x} without a {y}"),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for x in WANTED:
        for y in DENIED:
            often = int((photos(x, 2) & photos(y, 2)).sum()) >= 12
            if x == y or not often or int((photos(x, 2) & ~photos(y, 1)).sum()) < 20:
                continue
            right, wrong = photos(x, 1) & ~photos(y, 1), photos(y, 1)
            for name, query in ways.items():
                scores = score_query(matcher, images, encode_query(matcher, query(x, y)))
                top = scores.topk(10).indices
                found[name].append(
                    (float(right[top].float().mean()), float(wrong[top].float().mean()))
                )
    means = {name: torch.tensor(pairs).mean(0).tolist() for name, pairs in found.items()}
    return {"queries": len(found["excluded"])} | {
        name: {"right": right, "denied_is_there": wrong} for name, (right, wrong) in means.items()
    }


def plain(sentence: str) -> TextRecord:
    """A sentence whose words are all taken for wanted."""
    return TextRecord("", sentence, sentence.split(), has_graph=False)


def graphs(
    matcher: SceneGraphMatcher, dataset: SceneGraphDataset, images: EncodedImages, scores: Tensor
) -> dict[str, Any]:
    """Recalls of images for captions, and for their graphs put into words."""
    chosen = [t for t in range(0, len(dataset.texts), 5) if dataset.texts[t].objects][:500]
    own = dataset.image_of_text[chosen]
    worded = [
        graph_record(text.relations, text.attributes, text.objects)
        for text in (dataset.texts[t] for t in chosen)
    ]

    def of(some: Tensor) -> dict[str, float]:
        places = torch.arange(len(some))
        return recalls([first_rank(some[:, i], places == image) for i, image in enumerate(own)])

    return {
        "texts": len(chosen),
        "captions": of(scores[:, chosen]),
        "graphs_in_words": of(matcher.score(images, worded)),
    }


if __name__ == "__main__":
    main()
