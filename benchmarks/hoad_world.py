"""Does HOAD read relations and attributes, and what does distraction do to crowded scenes?

Trains on SceneWorld with boxes and labels alone (its region features would show the colors that
attribute nodes are to tell) and tests on other scenes of the same world:

- share of pairs in which the true caption beats the false one, by node types of the model;
- every scene beside a copy of it crowded with the objects of other scenes: how often the caption of
  the scene finds it first, before and after re-ranking by distraction with several gamma, with the
  entropy of eq. 10 and, to tell what it measures, the same over the logarithm of the number of
  nodes; once as they are, once with as many nodes in a scene as in its copy (its objects detected
  several times), as in the paper, where every image has 36 regions.

    python benchmarks/hoad_world.py
"""

import argparse
import json
import os
import time
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch import Tensor

from pyg_sgm.data import ImageRecord
from pyg_sgm.datasets import SceneGraphDataset, SceneWorld
from pyg_sgm.models import Matcher
from pyg_sgm.ops import Packed, distraction_pairs
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.training import find_recipe

KINDS = ("swapped_relation", "replaced_predicate", "replaced_attribute")
GAMMAS = (0.0, 4e-3, 0.02, 0.1, 0.5, -0.02, -0.1, -0.5)


def crowded(dataset: SceneGraphDataset, seed: int, pad: bool, others: int = 2) -> SceneGraphDataset:
    """The scenes, then each again with the objects of some other scenes added to it.

    With ``pad``, the scenes themselves come with each of their objects detected several times, so
    that both have about as many nodes.
    """
    random = Random(seed)
    scenes, copies = [], []
    for image in dataset.images:
        scene = copy = image
        for _ in range(others):
            copy = _join(copy, random.choice(dataset.images))
            scene = _join(scene, image) if pad else scene
        scenes.append(scene)
        copies.append(ImageRecord(f"{image.id} crowded", *list(vars(copy).values())[1:]))
    return SceneGraphDataset(
        [*scenes, *copies], dataset.texts, dataset.image_of_text, dataset.labels
    )


def _join(image: ImageRecord, other: ImageRecord) -> ImageRecord:
    count = len(image.objects)
    assert image.boxes is not None
    assert other.boxes is not None
    return ImageRecord(
        image.id,
        [*image.objects, *other.objects],
        np.concatenate([image.boxes, other.boxes]),
        [*image.relations, *((s + count, p, o + count) for s, p, o in other.relations)],
        [*image.attributes, *((i + count, label) for i, label in other.attributes)],
        size=image.size,
    )


@torch.no_grad()
def crowd_experiment(
    matcher: SceneGraphMatcher, dataset: SceneGraphDataset, seed: int, pad: bool
) -> dict:
    both = crowded(dataset, seed, pad)
    images, texts = matcher.encode_images(both), matcher.encode_texts(both)
    assert isinstance(matcher.model, Matcher)
    scores = matcher.score(images, texts).t().contiguous()  # [num_texts, num_images]
    image: Packed = images.encoding.nodes  # type: ignore[attr-defined]
    text: Packed = texts.encoding.nodes  # type: ignore[attr-defined]
    truth, num_scenes = both.image_of_text, len(dataset.images)

    def entropy(query: Tensor, reference: Tensor) -> Tensor:
        return distraction_pairs(text, image, query, reference)

    def relative(query: Tensor, reference: Tensor) -> Tensor:
        return entropy(query, reference) / image.sizes[reference].clamp(min=2).log()

    query = torch.arange(len(truth))
    of_scene, of_copy = entropy(query, truth), entropy(query, truth + num_scenes)
    sizes = image.sizes.float()
    out: dict = {
        "nodes of a scene": float(sizes[:num_scenes].mean()),
        "nodes of its crowded copy": float(sizes[num_scenes:].mean()),
        "entropy of a scene": float(of_scene.mean()),
        "entropy of its crowded copy": float(of_copy.mean()),
        "scene has more entropy": float((of_scene > of_copy).float().mean()),
        "scene has more relative entropy": float(
            (relative(query, truth) > relative(query, truth + num_scenes)).float().mean()
        ),
    }
    for name, score in (("entropy", entropy), ("relative entropy", relative)):
        out[name] = {}
        for gamma in GAMMAS:
            best, found = scores.topk(10)  # [num_texts, 10]
            distraction = score(query.repeat_interleave(10), found.flatten()).view_as(best)
            top = (best + gamma * distraction).argmax(1, keepdim=True)
            first = found.gather(1, top).squeeze(1)
            out[name][str(gamma)] = {
                "scene first": round(100 * float((first == truth).float().mean()), 1),
                "its copy first": round(
                    100 * float((first == truth + num_scenes).float().mean()), 1
                ),
            }
    return out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--test-images", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--node-types", nargs="+", default=["or", "ora"])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/hoad_world.json"))
    args = parser.parse_args()
    train = SceneWorld("train", num_images=args.images, feature_dim=0)
    test = SceneWorld("test", num_images=args.test_images, feature_dim=0)
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    for seed in args.seeds:
        for node_types in args.node_types:
            # The features of this world are few and exact, which leaves no reason to blank them.
            recipe = find_recipe("hoad").replace(
                feature_dropout=0.0,
                epochs=args.epochs,
                images_per_batch=32,
            )
            recipe = recipe.with_model_options(node_types=node_types, embed=64)
            start = time.perf_counter()
            matcher = SceneGraphMatcher("hoad").fit(train, recipe=recipe, seed=seed, progress=False)
            run: dict = {
                "images": args.images,
                "epochs": args.epochs,
                "seconds": round(time.perf_counter() - start),
                "rsum": round(100 * matcher.evaluate(test)["rsum"], 1),
            }
            for kind in KINDS:
                negatives = test.hard_negatives(kind)
                pairs = negatives.dataset
                scores = matcher.score_pairs(pairs, pairs, pairs.image_of_text)
                run[kind] = round(100 * negatives.accuracy(scores), 1)
            if node_types == "ora":
                run["crowded"] = crowd_experiment(matcher, test, seed, pad=False)
                run["crowded, as many nodes"] = crowd_experiment(matcher, test, seed, pad=True)
            results[f"{node_types}, seed {seed}"] = run
            print(node_types, seed, json.dumps(run, indent=1), flush=True)
            args.out.parent.mkdir(parents=True, exist_ok=True)
            side = args.out.with_suffix(".tmp")
            side.write_text(json.dumps(results, indent=1) + "\n")
            os.replace(side, args.out)


if __name__ == "__main__":
    main()
