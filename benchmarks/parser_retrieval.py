"""Does SGM retrieve better with our parses of the captions than with the triplets of SPICE?

    python benchmarks/parser_retrieval.py --root flickr30k_sgm --vectors glove.txt.gz \\
        --out benchmarks/results

Trains SGM on the SGM authors' Flickr30k graphs (val split, every fifth image is dev) with the
triplets that come with the captions and with those of the learned parser, everything else alike.
Reported is the dev rsum after the last epoch, so nothing is chosen on dev.
"""

import argparse
import json
from pathlib import Path
from statistics import mean, stdev

from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.text import parse_batch


def parsed(dataset: SceneGraphDataset) -> SceneGraphDataset:
    """The dataset with its captions parsed anew."""
    texts = [
        p.to_record(id)
        for p, id in zip(parse_batch(dataset.captions), dataset.text_ids, strict=True)
    ]
    return SceneGraphDataset(
        dataset.images, texts, dataset.image_of_text, dataset.labels, dataset.features
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--root", type=Path, required=True)
    arguments.add_argument("--vectors", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--seeds", type=int, default=3)
    args = arguments.parse_args()
    spice = open_dataset(f"flickr30k-sgm:{args.root}", split="val")
    results: dict = {}
    for name, dataset in (("spice", spice), ("learned parser", parsed(spice))):
        train, dev = dataset.split_every(5)
        triplets = sum(len(text.relations) for text in dataset.texts)
        without = sum(not text.relations for text in dataset.texts)
        runs = []
        for seed in range(args.seeds):
            matcher = SceneGraphMatcher("sgm").fit(
                train, dev, word_vectors=args.vectors, seed=seed, progress=False
            )
            runs.append(matcher.history[-1]["dev_rsum"])
            print(name, "seed", seed, round(runs[-1], 1), flush=True)
        results[name] = {
            "triplets_per_caption": round(triplets / len(dataset), 2),
            "captions_without_triplets": without,
            "rsum": [round(rsum, 1) for rsum in runs],
            "mean": round(mean(runs), 1),
            "standard_deviation": round(stdev(runs), 1),
        }
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1)
    (args.out / "parser_retrieval.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
