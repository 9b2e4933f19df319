"""Which gamma should re-ranking by distraction have?

Encodes the images and texts once and re-ranks the first ten of every query with each gamma. Choose
it on images that are not those you report.

    python benchmarks/sweep_gamma.py runs/hoad --data flickr30k-sgm:FOLDER --split val --dev-every 5
"""

import argparse
import json
from pathlib import Path

from pyg_sgm.datasets import open_dataset
from pyg_sgm.evaluation import rank
from pyg_sgm.evaluation.rerank import reranked, top_distractions
from pyg_sgm.metrics.retrieval import RetrievalMetrics, in_percent, metrics_of_ranks
from pyg_sgm.models import Matcher
from pyg_sgm.ops import Ranking
from pyg_sgm.retrieval import SceneGraphMatcher

GAMMAS = [-0.1, -0.03, -0.01, -4e-3, 1e-3, 4e-3, 0.01, 0.03, 0.1, 0.3, 1.0]


def _metrics(ranking: Ranking) -> RetrievalMetrics:
    return in_percent(metrics_of_ranks(ranking.image_ranks, ranking.text_ranks))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="+", help="folders of trained models")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--dev-every", type=int, default=5)
    parser.add_argument("--gammas", type=float, nargs="+", default=GAMMAS)
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sweep_gamma.json"))
    args = parser.parse_args()
    dataset = open_dataset(args.data, args.split)
    if args.dev_every:
        dataset = dataset.split_every(args.dev_every)[1]
    results: dict[str, dict[str, RetrievalMetrics]] = {}
    for run in args.run:
        matcher = SceneGraphMatcher.from_pretrained(run)
        images, texts = matcher.encode_images(dataset), matcher.encode_texts(dataset)
        assert isinstance(matcher.model, Matcher)
        truth = dataset.image_of_text
        ranking = rank(matcher.model, images.encoding, texts.encoding, truth, args.top)
        nodes = [matcher.model.attention_nodes(e.encoding) for e in (images, texts)]
        distractions = top_distractions(ranking, *nodes)
        rows = results[run.name] = {"no": _metrics(ranking)}
        for gamma in args.gammas:
            rows[str(gamma)] = _metrics(reranked(ranking, distractions, truth, gamma))
        print(f"\n{run}\n\n| gamma | i2t R@1 | R@5 | t2i R@1 | R@5 | rsum |")
        print("|---|---|---|---|---|---|")
        for gamma_name, m in rows.items():
            cells = [m["i2t"]["r1"], m["i2t"]["r5"], m["t2i"]["r1"], m["t2i"]["r5"], m["rsum"]]
            print(f"| {gamma_name} | {' | '.join(f'{cell:.1f}' for cell in cells)} |")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
