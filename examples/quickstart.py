"""SGM learns to match captions to scene graphs, in a world that needs no download.

Scenes come in groups of four that hold the same objects and differ in who does what to whom, or in
a color. So the model must read relations to win.
"""

import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pyg_sgm.datasets import SceneWorld
from pyg_sgm.metrics import in_percent
from pyg_sgm.retrieval import SceneGraphMatcher
from pyg_sgm.viz import draw_match

OUT = Path("runs/quickstart")
console = Console()
start = time.perf_counter()

# Scene graphs with captions: 5 captions per image, each with its triplets.
train = SceneWorld("train", num_images=600)
dev = SceneWorld("dev", num_images=100)
test = SceneWorld("test", num_images=200)
console.print(f"An image: {', '.join(test.images[0].objects)}")
console.print(f"A caption of it: {test.captions[0]!r}")

# Train. The folder then holds the best model by dev rsum, logs, and a checkpoint to go on from.
matcher = SceneGraphMatcher("sgm", dim=128, hidden=128, embed=64, global_dim=128)
matcher.fit(train, dev, epochs=15, out=OUT, overwrite=True)
console.print(f"Trained in {time.perf_counter() - start:.0f} s; the model is in {OUT}\n")

# Retrieval in both directions, on scenes never seen.
metrics = in_percent(matcher.evaluate(test))
table = Table("200 images, 1,000 captions", "R@1", "R@5", "R@10", "median rank")
for name, side in (("image to text", metrics["i2t"]), ("text to image", metrics["t2i"])):
    table.add_row(name, *(f"{value:.1f}" for value in side.values()))
console.print(table)

# A true caption against a false one of the same image, which differs in one thing only.
table = Table("the false caption has", "true caption scores higher")
for kind, name in (
    ("swapped_relation", "subject and object swapped"),
    ("replaced_predicate", "another action"),
    ("replaced_attribute", "another color or size"),
):
    negatives = test.hard_negatives(kind)
    scores = matcher.score(negatives.dataset, negatives.dataset)
    table.add_row(name, f"{100 * negatives.accuracy(scores):.1f} %")
console.print(table)

# Search, and look at why the best image was found.
caption = next(t for t in test.texts if t.relations and len(t.words) == 7)
best = matcher.search_images(caption, test, k=3)
console.print(f"{caption.caption!r} finds {', '.join(f'{c.id} ({c.score:.2f})' for c in best)}")
draw_match(matcher.explain(test.select_images([best[0].index]), caption), OUT / "match.png")
console.print(f"Which word matched which object: {OUT / 'match.png'}")
