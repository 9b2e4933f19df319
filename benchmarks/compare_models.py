"""How do the models compare under one harness, and what does each part of HOAD give?

Trains every row with several seeds and evaluates the weights of the last epoch on dev, where
nothing is chosen: every fifth image of the split, by sorted name, or another split. Tables:

- `models`: the models of the SGM and HOAD papers with their recipes `default`;
- `others`: the other models of their tables, and those that came after, likewise;
- `hoad`: the ablations of table 3 of the paper (Li et al., CVPR 2020), and its own loss;
- `relations`: models with and without relations, with the relation probe;
- `minilm`: SGM with and without relations as recipes `photos` and `labels` train it, with words and
  labels of a language model, without false captions (no `--word-vectors` then).

With `--rates FILE`, nothing is trained: every row is built with random weights, and the dev
captions are scored with the dev images at once, one caption at a time (as the authors of SCAN,
SGRAF, GSMN and LGSGM do), and one pair at a time. Seconds are those of one processor.

HOAD also has a row with the ten best re-ranked by distraction. Rows that are already in the output
are not trained again; with `--markdown` none is.

    python benchmarks/compare_models.py --data flickr30k-sgm:FOLDER --split val \
        --word-vectors FILE --tables models hoad
    python benchmarks/compare_models.py --data flickr8k:FOLDER --dev-split dev --graphs f8k.sg \
        --parses f8k.jsonl --word-vectors FILE --tables relations --precision bf16-mixed \
        --out benchmarks/results/flickr8k.json
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.evaluation import Probe, encode_images, encode_texts, probe_relations
from pyg_sgm.evaluation.encode import evaluating
from pyg_sgm.metrics import in_percent
from pyg_sgm.models import GraphSizes, build_model
from pyg_sgm.retrieval import SceneGraphMatcher, with_graphs, with_parses
from pyg_sgm.training import Recipe, find_recipe

SCAN = {
    "SCAN t-i AVG": {"pooling": "average"},
    "SCAN t-i LSE": {},
    "SCAN i-t AVG": {"direction": "image-text", "pooling": "average", "inverse_temperature": 4.0},
    "SCAN i-t LSE": {
        "direction": "image-text",
        "inverse_temperature": 4.0,
        "pooling_inverse_temperature": 5.0,
    },
}

OTHERS = {
    "VSE-infinity": "vse_infinity",
    "LGSGM": "lgsgm",
    "SGRAF": "sgraf",
    "GSMN": "gsmn",
    "PVSE": "pvse",
    "SAEM": "saem",
    "DSPE": "dspe",
    "DPC": "dpc",
    "SCO": "sco",
}


def tables() -> dict[str, dict[str, tuple[str, Recipe]]]:
    hoad, scan = find_recipe("hoad"), find_recipe("scan")
    paper = find_recipe("hoad", "paper")
    photos = find_recipe("sgm", "photos")
    minilm = photos.replace(edit_weight=0.0, text_encoder="minilm", read_classes=False)
    labels = find_recipe("sgm", "labels")
    own_loss = replace(hoad, loss=paper.loss, loss_options=paper.loss_options)
    return {
        "models": {
            "VSE++": ("vse", find_recipe("vse")),
            "DVSA": ("dvsa", find_recipe("dvsa")),
            **{row: ("scan", scan.with_model_options(**options)) for row, options in SCAN.items()},
            "VSRN": ("vsrn", find_recipe("vsrn")),
            "SGM": ("sgm", find_recipe("sgm")),
            "HOAD": ("hoad", hoad),
        },
        "others": {row: (name, find_recipe(name)) for row, name in OTHERS.items()},
        "hoad": {
            "o": ("hoad", hoad.with_model_options(node_types="o")),
            "or": ("hoad", hoad.with_model_options(node_types="or")),
            "ora": ("hoad", hoad),
            "w/o CrossAtt": ("hoad", hoad.with_model_options(cross_attention=False)),
            "w/o NodeAtt": ("hoad", hoad.with_model_options(node_attention=False)),
            "the paper's loss": (
                "hoad",
                own_loss.with_model_options(first_order=0.1, logits=False),
            ),
        },
        "relations": {
            "VSE++": ("vse", find_recipe("vse")),
            "SCAN t-i LSE": ("scan", scan),
            "OOM": ("sgm", find_recipe("sgm").with_model_options(variant="oom")),
            "SGM": ("sgm", find_recipe("sgm")),
            "HOAD without relations": ("hoad", hoad.with_model_options(node_types="o")),
            "HOAD without attributes": ("hoad", hoad.with_model_options(node_types="or")),
            "HOAD": ("hoad", hoad),
        },
        "minilm": {
            "OOM, MiniLM": ("sgm", minilm.with_model_options(variant="oom")),
            "SGM, MiniLM": ("sgm", minilm),
            "OOM, labels read": ("sgm", labels.with_model_options(variant="oom")),
            "SGM, labels read": ("sgm", labels),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="as for pyg-sgm train")
    parser.add_argument("--split", default="train")
    parser.add_argument("--dev-split", help="default: every fifth image of --split")
    parser.add_argument("--graphs", type=Path, help="folder of the graphs of photos")
    parser.add_argument("--parses", type=Path, help="file of the parses of captions without graphs")
    parser.add_argument("--word-vectors", help="GloVe or word2vec text file")
    parser.add_argument("--epochs", type=int, help="instead of each recipe's")
    parser.add_argument("--precision", help="instead of each recipe's")
    parser.add_argument("--tables", nargs="+", default=list(tables()), choices=list(tables()))
    parser.add_argument("--rows", nargs="+", help="some rows only")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/compare_models.json"))
    parser.add_argument("--save", type=Path, help="folder for the trained models")
    parser.add_argument("--rates", type=Path, help="file for the rates of scoring; no training")
    parser.add_argument("--markdown", action="store_true", help="print what there is")
    args = parser.parse_args()

    train = _open(args, args.split)
    train, dev = (train, _open(args, args.dev_split)) if args.dev_split else train.split_every(5)
    if args.rates is not None:
        rows = {k: v for name in args.tables for k, v in tables()[name].items()}
        chosen = {k: v for k, v in rows.items() if not args.rows or k in args.rows}
        write_rates(args.rates, chosen, train, dev)
        return
    changes = {"epochs": args.epochs, "precision": args.precision}
    changes = {name: value for name, value in changes.items() if value is not None}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for table in args.tables:
        for row, (model, recipe) in tables()[table].items():
            if args.rows and row not in args.rows:
                continue
            recipe = recipe.replace(**changes)
            # Equal recipes of two tables are trained once.
            key = json.dumps([model, recipe.to_dict()], sort_keys=True)
            for seed in args.seeds:
                if args.markdown or str(seed) in _runs(args.out, key):
                    continue
                start = time.perf_counter()
                matcher = SceneGraphMatcher(model).fit(
                    train, recipe=recipe, word_vectors=args.word_vectors, seed=seed, progress=False
                )
                seconds = time.perf_counter() - start
                if args.save:
                    matcher.save_pretrained(args.save / f"{table}-{row}-{seed}".replace(" ", "_"))
                count = sum(p.numel() for p in matcher.model.parameters())
                run = {"seconds": seconds, "parameters": count, **_evaluate(matcher, dev)}
                if table == "relations":
                    run["probe"] = {
                        p.kind: _probe_in_percent(p) for p in probe_relations(matcher, dev)
                    }
                results = _read(args.out)  # another process may have added to it
                entry = results.setdefault(
                    key, {"model": model, "recipe": recipe.to_dict(), "runs": {}}
                )
                entry["runs"][str(seed)] = run
                side = args.out.with_suffix(".tmp")
                side.write_text(json.dumps(results, indent=1) + "\n")
                os.replace(side, args.out)
            there = _runs(args.out, key)
            runs = [there[str(seed)] for seed in args.seeds if str(seed) in there]
            if runs:
                _print_row(table, row, runs)
                if "distraction" in runs[0]:
                    again = [{**run["distraction"], "seconds": run["seconds"]} for run in runs]
                    _print_row(table, f"{row} +Dist", again)
                if "probe" in runs[0]:
                    _print_probe(table, row, [run["probe"] for run in runs])
    print(f"{torch.get_num_threads()} threads; {args.out}")


@torch.no_grad()
def write_rates(
    path: Path,
    rows: dict[str, tuple[str, Recipe]],
    train: SceneGraphDataset,
    dev: SceneGraphDataset,
    loop: int = 32,
) -> None:
    """Pairs per second of each row, written to a JSON file; loops over the first ``loop`` captions,
    of pairs with as many images."""
    torch.set_num_threads(1)
    vocabularies = train.vocabularies()
    graphs = dev.encode(vocabularies)
    report: dict = {"images": len(graphs.images), "captions": len(graphs.texts), "rows": {}}
    for row, (name, recipe) in rows.items():
        model = build_model(name, GraphSizes.of(vocabularies), recipe.options)
        with evaluating(model):
            image, text = encode_images(model, graphs.images), encode_texts(model, graphs.texts)
            one = [torch.tensor([i]) for i in range(loop)]

            def whole(model=model, image=image, text=text) -> int:
                return model.score(image, text).numel()

            def captions(model=model, image=image, text=text, one=one) -> int:
                return sum(model.score(image, text.select(j)).numel() for j in one)

            def pairs(model=model, image=image, text=text, one=one) -> int:
                images, texts = ([side.select(i) for i in one] for side in (image, text))
                return sum(model.score(x, y).numel() for x in images for y in texts)

            rates = {f.__name__: _rate(f) for f in (whole, captions, pairs)}
        report["rows"][row] = {"model": name, "pairs_per_second": rates}
        print(row, {k: f"{v:,.0f}" for k, v in rates.items()}, flush=True)
        path.write_text(json.dumps(report, indent=1) + "\n")


def _rate(score: Callable[[], int]) -> float:
    """Pairs per second of one processor: the median of three, or one that takes two seconds."""
    rates: list[float] = []
    while len(rates) < 3:
        start, count = time.process_time(), 0
        while (seconds := time.process_time() - start) < 0.2:  # the clock is coarse
            count += score()
        rates.append(count / seconds)
        if seconds > 2:
            break
    return statistics.median(rates)


def _read(path: Path) -> dict:
    return json.loads(path.read_text()) if path.exists() else {}


def _runs(path: Path, key: str) -> dict:
    """The runs of a recipe, by seed."""
    return _read(path).get(key, {}).get("runs", {})


def _open(args: argparse.Namespace, split: str) -> SceneGraphDataset:
    dataset = with_parses(open_dataset(args.data, split), args.parses)
    return with_graphs(dataset, args.graphs) if args.graphs else dataset


def _evaluate(matcher: SceneGraphMatcher, dev: SceneGraphDataset) -> dict:
    if matcher.name != "hoad":
        return {**in_percent(matcher.evaluate(dev))}
    before, after = matcher.evaluate_reranked(dev)
    return {**in_percent(before), "distraction": in_percent(after)}


def _probe_in_percent(probe: Probe) -> dict:
    shares = {"margin": probe.margin, "accuracy": probe.accuracy, "control": probe.control}
    percent = {name: None if share is None else 100 * share for name, share in shares.items()}
    return {**percent, "cases": len(probe.cases)}


def _print_row(table: str, row: str, runs: list[dict]) -> None:
    """Means over the seeds and the standard deviation of rsum, as a row of a Markdown table."""
    cells = [
        f"{statistics.mean(run[side][k] for run in runs):.1f}"
        for side in ("i2t", "t2i")
        for k in ("r1", "r5", "r10")
    ]
    sums = [run["rsum"] for run in runs]
    spread = f"± {statistics.stdev(sums):.1f}" if len(sums) > 1 else "(one seed)"
    seconds = statistics.mean(run["seconds"] for run in runs)
    rsum = f"{statistics.mean(sums):.1f} {spread}"
    print(f"| {table} | {row} | {' | '.join(cells)} | {rsum} | {seconds:.0f} s |", flush=True)


def _print_probe(table: str, row: str, probes: list[dict]) -> None:
    """Percent of true captions ahead of false ones, with their image and with the others: mean,
    smallest and largest of the seeds."""
    for kind, first in probes[0].items():
        if first["margin"] is None:
            continue
        cells = []
        for name in ("margin", "accuracy", "control"):
            values = [probe[kind][name] for probe in probes]
            cells.append(f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})")
        print(
            f"  {table}, {row}: {kind} margin {cells[0]}, with its image {cells[1]}, with others "
            f"{cells[2]}, {first['cases']} captions",
            flush=True,
        )


if __name__ == "__main__":
    main()
