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

from pyg_sgm.data import text_record
from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.retrieval import SceneGraphMatcher, with_parses
from pyg_sgm.training import find_recipe


def without_graphs(dataset: SceneGraphDataset) -> SceneGraphDataset:
    """The dataset with bare captions."""
    texts = [text_record(text.caption, id=text.id) for text in dataset.texts]
    return SceneGraphDataset(
        dataset.images, texts, dataset.image_of_text, dataset.labels, dataset.features
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--root", type=Path, required=True)
    arguments.add_argument("--vectors", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--precision", default="32-true", help="as Lightning names it")
    arguments.add_argument("--triplets", nargs="+", choices=["spice", "learned"])
    args = arguments.parse_args()
    spice = open_dataset(f"flickr30k-sgm:{args.root}", split="val")
    recipe = find_recipe("sgm").replace(precision=args.precision)
    path = args.out / "parser_retrieval.json"
    results: dict = json.loads(path.read_text()) if path.exists() else {}
    for name in args.triplets or ("spice", "learned"):
        dataset = spice if name == "spice" else with_parses(without_graphs(spice))
        train, dev = dataset.split_every(5)
        triplets = sum(len(text.relations) for text in dataset.texts)
        without = sum(not text.relations for text in dataset.texts)
        runs = []
        for seed in range(args.seeds):
            matcher = SceneGraphMatcher("sgm").fit(
                train, recipe=recipe, word_vectors=args.vectors, seed=seed, progress=False
            )
            runs.append(100 * matcher.evaluate(dev)["rsum"])
            print(name, "seed", seed, round(runs[-1], 1), flush=True)
        results[name] = {
            "triplets_per_caption": round(triplets / dataset.num_texts, 2),
            "captions_without_triplets": without,
            "rsum": [round(rsum, 1) for rsum in runs],
            "mean": round(mean(runs), 1),
            "standard_deviation": round(stdev(runs), 1),
        }
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1)
    path.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
