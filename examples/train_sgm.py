"""SGM on the Flickr30k graphs of its authors, step by step.

    python examples/train_sgm.py --root flickr30k_sgm --word-vectors glove.6B.300d.txt

``--root`` is a folder of the files that :class:`pyg_sgm.datasets.Flickr30kSGM` reads.
"""

import argparse

from rich.console import Console
from rich.table import Table

from pyg_sgm.datasets import Flickr30kSGM
from pyg_sgm.metrics import in_percent
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.training import find_recipe
from pyg_sgm.viz import draw_match

parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
parser.add_argument("--root", required=True, help="folder of the graphs")
parser.add_argument("--split", default="val", help="split to train on")
parser.add_argument("--word-vectors", help="text file of word vectors, such as GloVe")
parser.add_argument("--recipe", default="default", help="default, or paper")
parser.add_argument("--epochs", type=int, help="instead of the recipe's")
parser.add_argument("--out", default="runs/train_sgm", help="folder of the run")
parser.add_argument("--overwrite", action="store_true", help="replace the run that is there")
arguments = parser.parse_args()
console = Console()

# Every fifth image chooses the best epoch, the others are trained on.
dataset = Flickr30kSGM(arguments.root, arguments.split)
train, dev = dataset.split_every(5)
console.print(f"train {train}, dev {dev}")

recipe = find_recipe("sgm", arguments.recipe)
if arguments.epochs:
    recipe = recipe.replace(epochs=arguments.epochs)
matcher = SceneGraphMatcher("sgm")
matcher.fit(
    train,
    dev,
    recipe,
    word_vectors=arguments.word_vectors,
    out=arguments.out,
    overwrite=arguments.overwrite,
)

metrics = in_percent(matcher.evaluate(dev))
table = Table(f"rsum {metrics['rsum']:.1f}", "R@1", "R@5", "R@10", "median rank")
for name, side in (("image to text", metrics["i2t"]), ("text to image", metrics["t2i"])):
    table.add_row(name, *(f"{value:.1f}" for value in side.values()))
console.print(table)

# The model as anyone would open it later.
matcher = SceneGraphMatcher.from_pretrained(arguments.out)
images = matcher.encode_images(dev)
for caption in dev.texts[:3]:
    best = matcher.search_images(caption, images, k=3)
    console.print(f"{caption.caption!r}: {', '.join(c.id for c in best)}")

picture = f"{arguments.out}/match.png"
draw_match(matcher.explain(dev.select_images([0]), dev.texts[0]), picture)
console.print(f"Which word matched which object: {picture}")
