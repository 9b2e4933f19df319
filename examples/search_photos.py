"""A folder of photos searched by a sentence: exactly, and with the reasons.

python examples/search_photos.py runs/photos photos "a red ball on a blue box"
"""

import sys
from pathlib import Path

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.index import SceneGraphIndex

run, photos, sentence = sys.argv[1:]
if Path("photos.idx").exists():
    index = SceneGraphIndex.open("photos.idx")
else:
    matcher = SceneGraphMatcher.from_pretrained(run)
    index = SceneGraphIndex.create("photos.idx", matcher, run=run)
index.add(photos)  # what is new or has changed

found = index.search(sentence, k=5)
print(f"{found.num_images} photos, {found.num_scored} scored; exact: {found.certified}")
for hit in found.hits:
    print(f"{hit.rank}. {hit.id}: {hit.score:.2f}", *(f"no {name}" for name in hit.missing))
for match in index.explain(sentence, found.hits[0].id).matches[:8]:
    print(f"   {match.text_name} -> {match.image_name}: {match.contribution:.3f}")
