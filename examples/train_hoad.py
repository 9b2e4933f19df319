"""Train HOAD on the SGM authors' Flickr30k graphs, re-rank by distraction, draw one match.

python examples/train_hoad.py --root FOLDER --word-vectors glove.txt.gz --out runs/hoad
"""

import argparse
from pathlib import Path

from pyg_sgm.datasets import Flickr30kSGM
from pyg_sgm.metrics import in_percent
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.viz import draw_attention, draw_reranking

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--root", required=True, help="folder of the graphs")
parser.add_argument("--word-vectors", help="GloVe or word2vec text file")
parser.add_argument("--recipe", default="default", help="default, or paper")
parser.add_argument("--out", type=Path, default=Path("runs/hoad"))
args = parser.parse_args()

# Every fifth image of the split is kept for choosing the best weights.
train, dev = Flickr30kSGM(args.root, "val").split_every(5)

matcher = SceneGraphMatcher("hoad")
matcher.fit(train, dev, args.recipe, word_vectors=args.word_vectors, out=args.out)

before, after = matcher.evaluate_reranked(dev, k=10, gamma=4e-3)
for name, result in (("first ranking", before), ("+ distraction", after)):
    metrics = in_percent(result)
    recalls = [f"{metrics[side][k]:.1f}" for side in ("i2t", "t2i") for k in ("r1", "r5", "r10")]
    print(f"{name:>14}  {'  '.join(recalls)}  rsum {metrics['rsum']:.1f}")

# What the first caption attends to in its image.
image, text = dev.images[int(dev.image_of_text[0])], dev.texts[0]
draw_attention(matcher.explain(image, text), args.out / "attention.png")

# The ten best images for it, before and after re-ranking.
first = matcher.search_images(text, dev, k=10)
images = {image.id: image for image in dev.images}
spread = {c.id: matcher.explain(images[c.id], text).image_distraction for c in first}
ranking = [(c.id, c.score) for c in first]
reranked = sorted(((name, score + 4e-3 * spread[name]) for name, score in ranking),
                  key=lambda pair: -pair[1])  # fmt: skip
draw_reranking(text.caption, ranking, reranked, [image.id], args.out / "reranked.png")
