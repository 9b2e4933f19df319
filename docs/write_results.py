"""Writes docs/results/*.md, and the table of models in README.md, from benchmarks/results/*.json.

    python docs/write_results.py          # writes
    python docs/write_results.py --check  # fails where a page is not what the measurements say

The prose is in docs/templates, with the names of figures in braces, so none is typed by hand.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
RECALLS = [(side, k) for side in ("i2t", "t2i") for k in ("r1", "r5", "r10")]
RECALL_HEADER = ["i2t R@1", "R@5", "R@10", "t2i R@1", "R@5", "R@10", "rsum"]
KINDS = ("swapped_relation", "replaced_predicate", "replaced_attribute")
KIND_HEADER = ["subject and object swapped", "another predicate", "another attribute"]
BEGIN, END = "<!-- models: written by docs/write_results.py -->\n", "<!-- end of models -->\n"


@cache
def read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def percent(run: Mapping[str, Any]) -> float:
    """What a metric of this run is multiplied with to be printed; older files are in percent."""
    return 100.0 if run.get("unit") == "fraction" else 1.0


def mean(values: Iterable[float]) -> float:
    return statistics.mean(values)


def spread_of_rsum(runs: Sequence[Mapping[str, Any]]) -> str:
    """Mean and sample standard deviation over the seeds."""
    values = [run["rsum"] * percent(run) for run in runs]
    if len(values) == 1:
        return f"{values[0]:.1f} (one seed)"
    return f"{mean(values):.1f} ± {statistics.stdev(values):.1f}"


def recalls(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Cells of RECALL_HEADER over the seeds."""
    cells = [f"{mean(run[side][k] * percent(run) for run in runs):.1f}" for side, k in RECALLS]
    return [*cells, spread_of_rsum(runs)]


def runs_of(
    name: str,
    model: str,
    epochs: int | None = None,
    loss: str = "contrastive",
    read_labels: bool = False,
    **options: Any,
) -> list[dict[str, Any]]:
    """Runs of the one recipe whose model options have these values; None is a default."""
    watched = ("variant", "node_types", "cross_attention", "node_attention", "direction")
    wanted = {option: options.get(option) for option in watched}
    found = [
        list(entry["runs"].values())
        for entry in read(name).values()
        if entry["model"] == model
        and epochs in (None, entry["recipe"]["epochs"])
        and entry["recipe"]["loss"] == loss
        and entry["recipe"].get("read_labels", False) == read_labels
        and all(entry["recipe"]["options"].get(key) == value for key, value in wanted.items())
    ]
    if len(found) != 1:
        raise ValueError(f"{name}: {len(found)} recipes for {model} {options}, expected one")
    return found[0]


def probe_cells(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = []
    for kind in KINDS:
        probes = [run["probe"][kind] for run in runs]
        true = mean(p["accuracy"] * percent(p) for p in probes)
        control = mean(p.get("control", p.get("elsewhere")) * percent(p) for p in probes)
        cells.append(f"{true:.1f} ({control:.1f})")
    return cells


def margin_cell(probes: Sequence[Mapping[str, Any]]) -> str:
    """How far true captions are ahead beyond what the captions give away by themselves."""
    margin, own, control = (
        100 * mean(probe[name] for probe in probes) for name in ("margin", "accuracy", "control")
    )
    return f"{margin:.1f} ({own:.1f} less {control:.1f})"


def margins(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A row for every kind of false caption, a column for every model; means over the seeds that
    have been probed."""
    probes = {name: [r["probe"] for r in runs if "probe" in r] for name, runs in rows.items()}
    probes = {name: seeds for name, seeds in probes.items() if seeds}
    return table(
        ["false caption", *probes, "cases"],
        [
            [
                kind.replace("_", " "),
                *(margin_cell([probe[kind] for probe in seeds]) for seeds in probes.values()),
                f"{first['cases']:,}",
            ]
            for kind, first in next(iter(probes.values()))[0].items()
            if first["cases"]
        ],
    )


def among_same(runs: Sequence[Mapping[str, Any]]) -> str:
    """How often the own photo is the first of those with the same objects, in percent."""
    return f"{100 * mean(run['same_objects']['first'] for run in runs):.1f}"


def seeds_of(name: str) -> dict[str, list[dict[str, Any]]]:
    """Results of ``benchmarks/photos.py``: those of all seeds, by row."""
    return {row: list(seeds.values()) for row, seeds in read(name).items()}


def without_bank(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [run.get("without_bank", run) for run in runs]


def ladder(
    recipe: Mapping[str, list[dict[str, Any]]],
    last: Mapping[str, list[dict[str, Any]]],
    cells3: Mapping[str, list[dict[str, Any]]],
    default: Iterable[tuple[str, int, list[dict[str, Any]]]],
) -> str:
    """What the recipe for photos takes beyond the default one, step by step."""
    steps = seeds_of("photos_ladder")
    before = {name: runs for name, _, runs in default}
    rows = (
        ("the default recipe, lite0, YOLOX-nano", before["SGM"], before["OOM"]),
        ("the recipe without false captions", steps["SGM, lite0"], steps["OOM, lite0"]),
        ("+ lite2, and earlier layers", steps["SGM, + lite2"], steps["OOM, + lite2"]),
        (
            "+ labels of Open Images",
            steps["SGM, + Open Images"],
            cells3["OOM, no false captions"],
        ),
        ("+ all pairs of five objects", cells3["SGM, no false captions"], None),
        ("+ 5 x 5 cells", last["SGM, no false captions"], last["OOM, no false captions"]),
        ("+ false captions", last["SGM"], last["OOM"]),
        ("+ classes, all layers of MiniLM: the recipe", recipe["SGM"], recipe["OOM"]),
    )

    def cells(runs: list[dict[str, Any]] | None) -> list[str]:
        if runs is None:
            return ["", "", ""]
        plain = spread_of_rsum(without_bank(runs)) if "without_bank" in runs[0] else ""
        return [spread_of_rsum(runs), plain, f"{mean(run['seconds'] for run in runs):.0f}"]

    header = ["rsum", "without bank", "seconds"]
    return table(
        ["", *(f"{model} {name}" for model in ("SGM", "OOM") for name in header)],
        [[name, *cells(sgm), *cells(oom)] for name, sgm, oom in rows],
    )


def weights() -> str:
    """Recalls and margins by the weight of false captions."""
    rows = {name: (runs, without_bank(runs)) for name, runs in seeds_of("photos_weights").items()}
    kinds = ("swapped_relation", "replaced_predicate", "half_truth")

    def margin(run: Mapping[str, Any], kind: str) -> str:
        return margin_cell([run["probe"][kind]]) if "probe" in run else ""

    return table(
        ["weight", "rsum", "without bank", *(kind.replace("_", " ") for kind in kinds)],
        [
            [
                name,
                spread_of_rsum(runs),
                spread_of_rsum(plain),
                *(margin(plain[0], kind) for kind in kinds),
            ]
            for name, (runs, plain) in rows.items()
        ],
    )


def left_out() -> str:
    """Margins of the kinds of false captions that a training did not see."""
    rows = seeds_of("photos_left_out")
    kinds = list(dict.fromkeys(name.partition(" without ")[2] for name in rows))

    def probe(model: str, kind: str) -> dict[str, Any]:
        probe: dict[str, Any] = rows[f"{model} without {kind}"][0]["probe"][kind]
        return probe

    return table(
        ["left out, and tested on", "SGM", "OOM", "interval", "cases"],
        [
            [
                kind.replace("_", " "),
                *(margin_cell([probe(model, kind)]) for model in ("SGM", "OOM")),
                f"± {100 * probe('SGM', kind)['interval']:.1f}",
                f"{probe('SGM', kind)['cases']:,}",
            ]
            for kind in kinds
        ],
    )


def pooled(probes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A probe on several sets of cases as one on all of them."""
    cases = sum(probe["cases"] for probe in probes)
    shares = ("margin", "accuracy", "control")
    means = {name: sum(p[name] * p["cases"] for p in probes) / cases for name in shares}
    square = sum((probe["interval"] * probe["cases"]) ** 2 for probe in probes)
    return {**means, "interval": square**0.5 / cases, "cases": cases}


def sixth() -> str:
    """Swaps on the training photos that were held out, and on dev photos."""
    rows = {name: without_bank(runs)[0] for name, runs in seeds_of("photos_sixth").items()}
    lines = []
    for kind in ("swapped_relation", "swapped_reversible"):
        for where, parts in (("held out", ["sixth"]), ("dev", ["dev"]), ("both", ["sixth", "dev"])):
            of = {
                model: pooled([rows[f"{model}, {part}"]["probe"][kind] for part in parts])
                for model in ("SGM", "OOM")
            }
            lines.append(
                [
                    f"{kind.replace('_', ' ')}, {where}",
                    *(f"{margin_cell([p])} ± {100 * p['interval']:.1f}" for p in of.values()),
                    f"{of['SGM']['cases']:,}",
                ]
            )
    return table(["", "SGM", "OOM", "cases"], lines)


def whole_way() -> dict[str, Any]:
    """Minutes from photos to a trained model, of all training photos at the rate of some."""
    way, every = read("whole_way"), 5827

    def minutes(row: Mapping[str, Any]) -> float:
        seconds = row["graphs"]["seconds"] + row["training"]["seconds"]
        return float(seconds) * every / way["photos"] / 60

    return {
        "way_photos": way["photos"],
        "way": table(
            [
                "beside it",
                "precision",
                "photos to graphs, ms a photo",
                "GiB",
                "training, s",
                "GiB",
                f"minutes for {every:,} photos",
            ],
            [
                [
                    ("nothing", "one busy process")[row["busy"]],
                    row["precision"],
                    f"{1000 * row['graphs']['seconds'] / way['photos']:.0f}",
                    f"{row['graphs']['peak_memory_gib']:.1f}",
                    f"{row['training']['seconds']:.0f}",
                    f"{row['training']['peak_memory_gib']:.1f}",
                    f"{minutes(row):.0f}",
                ]
                for row in way["ways"]
            ],
        ),
    }


def photos() -> dict[str, Any]:
    rows: list[tuple[str, int, list[dict[str, Any]]]] = [
        ("VSE++", 10, runs_of("flickr8k", "vse")),
        ("SCAN t-i LSE", 20, runs_of("flickr8k", "scan")),
        ("HOAD without relations", 8, runs_of("flickr8k", "hoad", 8, node_types="o")),
        ("HOAD", 8, runs_of("flickr8k", "hoad", 8)),
        ("SGM", 20, runs_of("flickr8k", "sgm")),
        ("OOM", 20, runs_of("flickr8k", "sgm", variant="oom")),
    ]

    def of_colors(runs: list[dict[str, Any]]) -> dict[str, str]:
        probes = [run["probe"]["replaced_attribute"] for run in runs]
        return {
            "attribute": f"{mean(p['accuracy'] * percent(p) for p in probes):.1f} %",
            "rsum": f"{mean(run['rsum'] * percent(run) for run in runs):.1f}",
        }

    def with_epochs(rows: Iterable[tuple[str, int, list[dict[str, Any]]]]) -> str:
        return table(
            ["", "epochs", *RECALL_HEADER, "seconds"],
            [
                [name, str(epochs), *recalls(runs), f"{mean(r['seconds'] for r in runs):.0f}"]
                for name, epochs, runs in rows
            ],
        )

    def with_bank_or_not(rows: Mapping[str, list[dict[str, Any]]]) -> str:
        return table(
            ["", "seeds", *RECALL_HEADER, "rsum without bank", "same objects", "seconds"],
            [
                [
                    name,
                    str(len(runs)),
                    *recalls(runs),
                    spread_of_rsum(without_bank(runs)),
                    among_same(without_bank(runs)),
                    f"{mean(run['seconds'] for run in runs):.0f}",
                ]
                for name, runs in rows.items()
            ],
        )

    def margins_without_bank(rows: Mapping[str, list[dict[str, Any]]]) -> str:
        return margins({name: without_bank(runs) for name, runs in rows.items()})

    recipe, last = seeds_of("photos"), seeds_of("photos_last_layer")
    cells3 = seeds_of("photos_cells3")
    return {
        "recipe_recalls": with_bank_or_not(recipe),
        "last_recalls": with_bank_or_not(last),
        "cells3_recalls": with_bank_or_not(cells3),
        "words": with_bank_or_not(seeds_of("photos_words")),
        "ears": with_bank_or_not(seeds_of("photos_ears")),
        "ladder": ladder(recipe, last, cells3, rows),
        "grids": with_bank_or_not(seeds_of("photos_grids")),
        "weights": weights(),
        "left_out": left_out(),
        "sixth": sixth(),
        **whole_way(),
        "recipe_probe": margins_without_bank(recipe),
        "recipe_bank_probe": margins(recipe),
        "last_probe": margins_without_bank(last),
        "last_bank_probe": margins(last),
        "cells3_probe": margins_without_bank(cells3),
        "recalls": with_epochs(rows),
        "probe": table(
            ["true caption against one with", *KIND_HEADER],
            [[name, *probe_cells(runs)] for name, _, runs in rows],
        ),
        "with_colors": of_colors(runs_of("flickr8k", "hoad", 4)),
        "without_colors": of_colors(runs_of("flickr8k", "hoad", 4, node_types="or")),
    }


STEPS = (
    "SGM, the paper's loss (d = 256)",
    "contrastive loss, cosine of nodes",
    "+ label embeddings in one shared space",
    "+ global level",
    "+ objects search words too",
    "+ weights of nodes",
    "+ half of the batches without relations: the default recipe",
)


def scene_graphs() -> dict[str, Any]:
    variants = {name: list(e["seeds"].values()) for name, e in read("sgm_variants").items()}
    additions = [list(e["seeds"].values()) for e in read("sgm_additions").values()]
    additions.append(variants["SGM"])
    hoad = runs_of("compare_models", "hoad")
    models = {
        "DVSA": runs_of("compare_models", "dvsa"),
        "VSE++": runs_of("compare_models", "vse"),
        "SCAN t-i LSE": runs_of("compare_models", "scan"),
        "SCAN i-t LSE": runs_of("compare_models", "scan", direction="image-text"),
        "VSRN": runs_of("compare_models", "vsrn"),
        "HOAD": hoad,
        "HOAD +Dist": [{**run["distraction"], "seconds": run["seconds"]} for run in hoad],
        "SGM": runs_of("compare_models", "sgm"),
    }
    ablations = {
        "objects alone": runs_of("compare_models", "hoad", node_types="o"),
        "+ relations": runs_of("compare_models", "hoad", node_types="or"),
        "+ attributes: HOAD": hoad,
        "without cross-graph attention": runs_of("compare_models", "hoad", cross_attention=False),
        "without node attention": runs_of("compare_models", "hoad", node_attention=False),
        "the paper's loss": runs_of("compare_models", "hoad", loss="hoad"),
    }
    return {
        "variants": table(
            ["", *RECALL_HEADER], [[name, *recalls(runs)] for name, runs in variants.items()]
        ),
        "additions": table(
            ["", *RECALL_HEADER],
            [[step, *recalls(runs)] for step, runs in zip(STEPS, additions, strict=True)],
        ),
        "models": table(
            ["", *RECALL_HEADER, "seconds"],
            [
                [name, *recalls(runs), f"{min(run['seconds'] for run in runs):.0f}"]
                for name, runs in models.items()
            ],
        ),
        "ablations": table(
            ["HOAD", *RECALL_HEADER, "rsum +Dist"],
            [
                [name, *recalls(runs), spread_of_rsum([run["distraction"] for run in runs])]
                for name, runs in ablations.items()
            ],
        ),
        "minilm": table(
            ["", *RECALL_HEADER],
            [
                [
                    f"{name}, labels read" if told else name,
                    *recalls(runs_of("flickr30k_minilm", "sgm", read_labels=told, **options)),
                ]
                for told in (False, True)
                for name, options in {"OOM": {"variant": "oom"}, "SGM": {}}.items()
            ],
        ),
        "notes": read("notes"),
    }


def world() -> dict[str, Any]:
    sgm, hoad = read("sgm_world"), read("hoad_world")
    runs = {
        "SGM": list(sgm["sgm"].values()),
        "OOM (objects and words alone)": list(sgm["oom"].values()),
        "HOAD": [hoad["ora, seed 0"]],
        "HOAD without attribute nodes": [hoad["or, seed 0"]],
    }
    crowds = {
        "true scene first, copies with further objects": hoad["ora, seed 0"]["crowded"],
        "the same with as many nodes in both": hoad["ora, seed 0"]["crowded, as many nodes"],
    }
    gammas = list(crowds["the same with as many nodes in both"]["entropy"])
    return {
        "probe": table(
            ["true caption against one with", *KIND_HEADER],
            [
                [name, *(f"{mean(run[kind] * percent(run) for run in of):.1f} %" for kind in KINDS)]
                for name, of in runs.items()
            ],
        ),
        "distraction": table(
            ["gamma", *gammas],
            [
                [name, *(f"{case['entropy'][gamma]['scene first']:.1f} %" for gamma in gammas)]
                for name, case in crowds.items()
            ],
        ),
        "more_entropy": crowds["the same with as many nodes in both"]["scene has more entropy"],
    }


def vision() -> dict[str, Any]:
    head, colors, extraction = read("relation_head"), read("attributes"), read("extraction_cpu")
    rows = []
    for data, label in {"vg150": "Visual Genome (shipped)", "vrd": "VRD (not shipped)"}.items():
        for key, who in {"head": "head", "frequency of label pairs": "frequency"}.items():
            predicates, pairs = head[data][key]["predicates"], head[data][key]["pairs"]
            values = predicates["top-1"], predicates["top-5"], pairs["recall@25"]
            cells = (f"{v[0] if isinstance(v, list) else v:.3f}" for v in values)  # mean, deviation
            rows.append([f"{label}, {who}", *cells])
    shares = sorted(extraction["share"].items(), key=lambda item: -item[1])
    figures = {
        "average precision": "average precision of all pairs of object and adjective",
        "mean over adjectives": "mean of those of each adjective",
        "precision at 1": "precision of the first color",
        "named an object": "adjectives named an object",
        "precision of named": "share of them that the captions say",
    }
    names = [
        [text, f"{colors['frequency'][name]:.2f}", "{:.2f} ± {:.3f}".format(*colors["head"][name])]
        for name, text in figures.items()
    ]
    return {
        "head": head,
        "colors": colors,
        "rule": colors["color rule"]["precision at 1"],
        "seeds": 3,
        "attributes": table(["", "frequency", "head"], names),
        "extraction": extraction,
        "cores": extraction["device"].split(", ")[1],
        "relations": table(["", "top-1", "top-5", "pairs among 25"], rows),
        "shares": table(["part", "share of the time"], [[name, f"{s:.1%}"] for name, s in shares]),
    }


def speed() -> dict[str, Any]:
    reports = {
        (model, dtype): read(f"throughput_{model}_{dtype}_cpu")
        for model in ("sgm", "hoad")
        for dtype in ("float32", "bfloat16")
    }
    ratios = {
        "rate of a plain matrix product of the same nodes": "ratio_to_matmul",
        "rate of a loop over captions (SCAN, SGRAF and LGSGM evaluate so)": "ratio_to_caption_loop",
        "rate of a loop over pairs": "ratio_to_pair_loop",
    }
    pairs = [float(f"{report['pairs_per_second']:.3g}") for report in reports.values()]
    scaling = {
        "SGM, float32": "scaling_sgm_float32_cpu",
        "SGM, bfloat16, ranks only": "scaling_sgm_bfloat16_cpu_stream",
        "HOAD, float32": "scaling_hoad_float32_cpu",
        "HOAD, bfloat16": "scaling_hoad_bfloat16_cpu",
    }
    segments = {k: v for k, v in read("segment_cpu").items() if isinstance(v, dict)}
    return {
        "sgm": reports["sgm", "float32"],
        "sgm_bfloat16": reports["sgm", "bfloat16"],
        "hoad_bfloat16": reports["hoad", "bfloat16"],
        "throughput": table(
            ["", *(f"{model.upper()}, {dtype}" for model, dtype in reports)],
            [
                ["pairs per second", *(f"{rate:,.0f}" for rate in pairs)],
                *(
                    [label, *(f"{report[key]:.3g} x" for report in reports.values())]
                    for label, key in ratios.items()
                ),
            ],
        ),
        "scaling": table(
            ["", "images x captions", "seconds", "MiB"],
            [
                [
                    label,
                    f"{row['images']:,} x {row['captions']:,}",
                    f"{row['seconds']:.1f}",
                    f"{row['peak_memory_mib']:.0f}",
                ]
                for label, name in scaling.items()
                for row in read(name)["rows"]
            ],
        ),
        "ranks": read("ranks_cpu"),
        "moved": table(
            ["", "points"],
            [
                [name.removesuffix(", seed 0"), f"{entry['bfloat16']['moved']:.2f}"]
                for name, entry in read("half_precision").items()
            ],
        ),
        "training": read("training_throughput_cpu"),
        "segments": table(
            ["", "PyTorch over torch-scatter"],
            [[name, f"{entry['torch_over_scatter']:.2f}"] for name, entry in segments.items()],
        ),
        "gain": segments["training step"]["torch_over_scatter"] - 1,
    }


A100_TFLOPS = 312.0  # of its data sheet, bfloat16 with sums in float32


def gpu() -> dict[str, Any]:
    (path,) = RESULTS.glob("gpu_*.json")
    report = read(path.stem)
    ceilings = report["ceilings"]
    work = {name: report[name]["tflops"] * report[name]["seconds"] for name in ("sgm", "hoad")}
    rivals = {
        "a padded einsum": "times_einsum",
        "a loop over captions (SCAN, SGRAF and LGSGM evaluate so)": "times_caption_loop",
    }
    return {
        "device": report["device"],
        "torch": report["torch"],
        **report["sizes"],
        "ceilings": table(
            ["plain product, TFLOP/s", *(d for d in ("bfloat16", "float16", "tf32", "float32"))],
            [
                [
                    "8,192 squared",
                    *(
                        f"{ceilings[f'{d}_tflops']:.0f}"
                        for d in ("bfloat16", "float16", "tf32", "float32")
                    ),
                ]
            ],
        )
        + f"\nA copy moves {ceilings['copy_tbs']:.1f} TB/s, counting what is read and written.\n",
        "scoring": table(
            ["", "SGM", "HOAD"],
            [
                ["seconds", *(f"{report[m]['seconds']:.2f}" for m in work)],
                ["TFLOP/s", *(f"{report[m]['tflops']:.0f}" for m in work)],
                [
                    "share of a plain product's rate",
                    *(f"{report[m]['share_of_ceiling']:.0%}" for m in work),
                ],
                [
                    "peak memory beside inputs, GiB",
                    *(f"{report[m]['peak_memory_gib']:.1f}" for m in work),
                ],
                *(
                    [f"{label}: a pair takes", *(f"{report[m][key]:.0f} x" for m in work)]
                    for label, key in rivals.items()
                ),
            ],
        ),
        "pytorch": report["hoad"]["times_pytorch"],
        "roofline": table(
            ["COCO 5K, bfloat16", "operations", "this card, s", "an A100 (312 TFLOP/s), s"],
            [
                [
                    name.upper(),
                    f"{1e12 * tera:.2g}",
                    f"{tera / ceilings['bfloat16_tflops']:.2f}",
                    f"{tera / A100_TFLOPS:.2f}",
                ]
                for name, tera in work.items()
            ],
        ),
    }


def parser() -> dict[str, Any]:
    ours, other = read("parser_f1"), read("notes")["SceneGraphParser 0.1.0"]
    parts = ("objects", "attributes", "relations", "all")
    return {
        "captions": ours["captions"],
        "threads": ours["machine"].split(", ")[1],
        "parsers": table(
            ["", *parts, "captions per second"],
            [
                *(
                    [
                        backend,
                        *(f"{ours[backend][part]['f1']:.3f}" for part in parts),
                        f"{ours[backend]['captions_per_second']:,}",
                    ]
                    for backend in ("learned", "rules")
                ),
                ["SceneGraphParser 0.1.0", *(f"{other[part]:.3f}" for part in parts), ""],
            ],
        ),
        "retrieval": read("parser_retrieval"),
    }


TASKS = {
    "training": "a training",
    "overwrite": "a training that takes the place of another one",
    "resume": "a training of more epochs that goes on from a finished one",
    "photos": "a training on photos: graphs, parsed captions, weights",
    "extraction": "photos to graphs",
    "parses": "captions to graphs",
    "saving": "a saved model in the place of another one",
}


DOING = {
    "build": "the index is built",
    "add": "photos are added",
    "remove": "photos are removed",
    "optimize": "the index is optimized",
    "between": "nothing: between two changes",
}


def robustness() -> dict[str, Any]:
    kinds = ("accepted", "refused", "other exception", "unnamed", "nonsense", "hang", "memory")
    readers = read("fuzz")["readers"]
    total = {kind: sum(row[kind] for row in readers.values()) for kind in kinds}
    rows = {**dict(sorted(readers.items())), "all": total}
    return {
        "inputs": sum(total.values()),
        "findings": sum(total[kind] for kind in kinds[2:]) or "none",
        "seconds": read("fuzz")["seconds"],
        "gibibytes": read("fuzz")["gibibytes"],
        "num_kills": sum(row["kills"] for row in read("kills").values()),
        "went_wrong": sum(row["went wrong"] for row in read("kills").values()) or "none",
        "kills": table(
            ["what is killed", "kills", "went wrong"],
            [[TASKS[n], f"{r['kills']}", f"{r['went wrong']}"] for n, r in read("kills").items()],
        ),
        "index_kills": read("index_kills"),
        "index_wrong": read("index_kills")["went wrong"] or "nothing",
        "index": table(
            ["what was going on", "kills"],
            [[DOING[name], str(count)] for name, count in read("index_kills")["kills"].items()],
        ),
        "fuzz": table(
            ["reader", *kinds],
            [[name, *(f"{row[kind]:,}" for kind in kinds)] for name, row in rows.items()],
        ),
    }


def search() -> dict[str, Any]:
    parts, service = read("search"), read("serve")
    found, captions, exact = parts["growth"], parts["caption"], parts["exact"]
    whole = next(row for row in exact["rows"] if "query_seconds" in row)
    assert all(row["bounds_too_low"] == 0 for row in exact["rows"])
    assert all(row["equal"] == exact["captions"] for row in exact["rows"])
    assert whole["answers_equal_to_the_full_ranking"] == exact["captions"]

    def milliseconds(row: Mapping[str, Any], name: str) -> str:
        return f"{1000 * row[name]:.0f}" if name in row else ""

    chosen = [row for row in found["rows"] if row["width"] == "chosen"]
    assert all(row["equal_to_the_full_ranking"] for row in chosen)
    return {
        "queries": chosen[0]["queries"],
        "mebibytes": chosen[-1]["query_mebibytes"],
        "exact": exact,
        "whole_ms": f"{1000 * whole['query_seconds']:.0f}",
        "scored": table(
            ["images", "bytes a node: objects", "relations", "scored: median", "95 %", "most"],
            [
                [
                    f"{row['images']:,}",
                    *(
                        f"{row['bytes_of_a_coarse_node'][name]}"
                        + " (chosen)" * (row["width"] == "chosen")
                        for name in ("objects", "relations")
                    ),
                    *(
                        f"{row[name]:,.0f}"
                        for name in ("scored_median", "scored_p95", "scored_most")
                    ),
                ]
                for row in exact["rows"]
            ],
        ),
        "build": parts["build"],
        "bare": parts["build_without_bank"],
        "service": service,
        "of_processor": f"{1000 * service['alone']['processor_seconds_of_an_answer']:.0f}",
        "waits": table(
            ["users", "answers", "a second", "median, ms", "95 %", "99 %", "most"],
            [
                [
                    str(users),
                    f"{row['answers']:,}",
                    f"{row['answers_per_second']:.1f}",
                    *(f"{1000 * value:,.0f}" for value in row["wait_in_seconds"].values()),
                ]
                for users, row in (
                    (1, service["alone"]),
                    (service["crowd"]["clients"], service["crowd"]),
                )
            ],
        ),
        "errors": sum(service["crowd"]["errors"].values()) or "none",
        "caption": captions,
        "captions": table(
            ["words", "plain product and maximum, ms", "`ops.maxsim`, ms", "ratio"],
            [
                [
                    str(row["words"]),
                    *(f"{1000 * row['seconds'][name]:.1f}" for name in ("plain", "maxsim")),
                    f"{row['ratio']:.2f}",
                ]
                for row in captions["rows"]
            ],
        ),
        "rows": table(
            ["images", "bytes a node", "scored: median", "most", "ms", "full scan, ms", "ratio"],
            [
                [
                    f"{row['images']:,}",
                    f"{max(row['bytes_of_a_coarse_node'].values())}"
                    + " (chosen)" * (row["width"] == "chosen"),
                    f"{row['scored_median']:.0f}",
                    str(row["scored_most"]),
                    milliseconds(row, "query_seconds"),
                    milliseconds(row, "full_scan_seconds"),
                    f"{row['ratio']:.2f}" if "ratio" in row else "",
                ]
                for row in found["rows"]
            ],
        ),
    }


def scale() -> dict[str, Any]:
    parts = read("scale")
    extract, kills, million = parts["extract"], parts["kills"], parts["million"]
    assert extract["equal"]
    assert all(row["equal"] == row["times"] for row in kills["rows"])
    assert all(row.get("equal_answers", True) for row in million["rows"])
    images, clustered = million["images"], million["rows"][-1]
    fields = million["drawn_from"]["fields"]
    return {
        "cores": extract["cores"],
        "extract": extract,
        "extracted": table(
            ["by", "workers", "photos a second", "seconds", "until the first shard", "load"],
            [
                [
                    row["by"],
                    str(row["workers"]),
                    f"{row['photos_a_second']:.1f}",
                    f"{row['seconds']:.0f}",
                    f"{row['first_seconds']:.0f}",
                    f"{row['load']:.1f}",
                ]
                for row in extract["rows"]
            ],
        ),
        "kills": kills,
        "killed": table(
            ["work", "workers", "actors", "nodes", "times done", "equal", "seconds"],
            [
                [
                    row["work"],
                    *(str(row["killed"].get(what, 0)) for what in ("worker", "actor", "node")),
                    f"{row['times']:,}",
                    f"{row['equal']:,}",
                    f"{row['seconds']:.0f}",
                ]
                for row in kills["rows"]
            ],
        ),
        "million": million,
        "kept": {name: f"{100 * told['kept_energy']:.1f} %" for name, told in fields.items()},
        "searched": table(
            [
                "by",
                "keepers",
                "s a query",
                "most",
                "ours",
                "scored: median",
                "most",
                "GiB a keeper",
            ],
            [
                [
                    row["by"],
                    str(row["keepers"]),
                    f"{row['query_seconds']:.2f}",
                    f"{row['query_seconds_most']:.2f}",
                    f"{100 * row['share_of_the_keepers']:.1f} %",
                    f"{row['scored_median']:,.0f}",
                    f"{row['scored_most']:,}",
                    f"{row['peak_bytes_of_a_keeper'] / 2**30:.1f}",
                ]
                for row in million["rows"]
            ],
        ),
        "beside": f"{1000 * clustered['seconds_beside_the_keepers']:.0f}",
        "scanned": f"{million['bytes']['scanned'] / 2**30:.1f}",
        "scored_bytes": million["bytes"]["scored"] / images,
        "scanned_bytes": million["bytes"]["scanned"] / images,
        "segment_ms": 1000 * million["segment_seconds"] / images,
    }


MACHINES = {
    "small": {"cores": 16, "memory": 64, "disk": 2},
    "large": {"cores": 64, "memory": 512, "disk": 16},
}


def plan() -> dict[str, Any]:
    """Of docs/scale.md."""
    graphs, parts = read("extraction_cpu"), read("search")
    million, built = read("scale")["million"], parts["build_without_bank"]
    alone, clustered = million["rows"][0], million["rows"][-1]
    large = MACHINES["large"]
    of_graph = graphs["size_gib"] * 2**30 / graphs["images"]
    to_graph = graphs["cpu_seconds"] / graphs["images"]
    to_row = built["build_cpu_seconds"] / built["images"]
    row, scored, scanned = (built["bytes_per_image"][name] for name in ("row", "float16", "int8"))
    drawn = {name: million["bytes"][name] / million["images"] for name in ("scored", "scanned")}
    to_scan = alone["query_seconds"] / million["images"]
    found = next(one for one in parts["exact"]["rows"] if "query_seconds" in one)

    def machines(count: float, kind: str) -> float:
        """How many have what a scan reads in nine tenths of their memory."""
        return max(1, -(-count * scanned // (0.9 * MACHINES[kind]["memory"] * 2**30)))

    def column(count: float) -> list[str]:
        work = count * (to_graph + to_row) / 86400
        return [
            f"{count * of_graph / 1e12:,.2f} TB",
            f"{count * row / 1e12:,.2f} TB",
            f"{count * (scored + scanned) / 1e12:,.2f} TB",
            f"{count * to_graph / 3600:,.0f} h",
            f"{count * to_row / 3600:,.0f} h",
            *(f"{work / MACHINES[kind]['cores']:,.2f}" for kind in MACHINES),
            f"{count * scanned / 1e9:,.0f} GB",
            *(f"{machines(count, kind):,.0f}" for kind in MACHINES),
            f"{count * to_scan / 3600:,.3f} h",
            f"{count * to_scan / machines(count, 'large') / large['cores']:,.1f} s",
        ]

    names = [
        "graphs with features",
        "rows",
        "what is scored and scanned",
        "extraction, processor time",
        "encoding and building, processor time",
        *(f"{kind} machines for a day" for kind in MACHINES),
        "read by a scan",
        *(f"{kind} machines for memory" for kind in MACHINES),
        "a query, processor time",
        "a query, seconds",
    ]
    columns = [column(count) for count in (1e6, 1e8, 1e9)]
    return {
        **MACHINES,
        "stages": table(
            ["stage", "ms of one core", "bytes"],
            [
                ["photo to graph", f"{1000 * to_graph:.0f}", f"{of_graph:,.0f}"],
                ["graph to row", f"{1000 * to_row:.1f}", f"{row:,.0f}"],
                ["beside it, what is scored", "", f"{scored:,.0f}"],
                ["beside it, what is scanned", "", f"{scanned:,.0f}"],
                ["one query", f"{1000 * to_scan:.4f}", f"{drawn['scanned']:,.0f} read"],
            ],
        ),
        "smaller": (scored + scanned) / sum(drawn.values()),
        "many": table(
            ["", "1,000,000", "100,000,000", "1,000,000,000"],
            [[name, *cells] for name, *cells in zip(names, *columns, strict=True)],
        ),
        "million_disk": 1e6 * (row + scored + scanned) / 1e9,
        "million_scan": 1e6 * scanned / 1e9,
        "known": 1e8 * 200 / 1e9,  # a name of 12 letters and a hash of 64 as strings of Python
        "big_scan": 1e8 * scanned / 1e9,
        "scored_few": found["scored_median"],
        "images_few": found["images"],
        "scored_many": alone["scored_median"],
        "images_many": million["images"],
        "question": 1000 * clustered["seconds_beside_the_keepers"] / million["shards"],
        "questions": 1000 * clustered["seconds_beside_the_keepers"] / million["shards"],
        "huge_cores": 1e9 * to_scan,
        "huge_rows": 1e9 * row / 1e12,
    }


def queries() -> dict[str, Any]:
    found = read("queries")
    rerank, exclusions, missing = found["rerank"], found["exclusions"], found["missing"]

    def cells(recalls: Mapping[str, float]) -> list[str]:
        return [f"{100 * value:.1f}" for value in recalls.values()]

    header = ["R@1", "R@5", "R@10"]
    orders = [
        ("VSE++", "before"),
        ("SGM's order of these", "by_scores"),
        ("by both scores", "by_both"),
        ("SGM, of all photos", "scores_of_all"),
    ]
    ways = [
        ('"a dog"', "wanted_alone"),
        ("the sentence as a caption", "sentence_as_caption"),
        ("the ball excluded", "excluded"),
    ]
    return {
        "candidates": rerank["candidates"],
        "epochs": found["prior"]["epochs"],
        "among": f"{100 * rerank['among_candidates']:.1f}",
        "rerank": table(["", *header], [[name, *cells(rerank[key])] for name, key in orders]),
        "weights": " and ".join(f"{weight:.2g}" for weight in rerank["weights"]),
        "error": found["calibration"]["error"],
        "ceiling": 100 * found["calibration"]["ceiling"],
        "own_missing": 100 * missing["own_told_missing"],
        "absent_missing": 100 * missing["absent_told_missing"],
        "num_exclusions": exclusions["queries"],
        "exclusions": table(
            ["", "right", "with what is denied"],
            [[name, *cells(exclusions[key])] for name, key in ways],
        ),
        "texts": found["graphs"]["texts"],
        "graphs": table(
            ["", *header],
            [
                ["captions", *cells(found["graphs"]["captions"])],
                ["their graphs in words", *cells(found["graphs"]["graphs_in_words"])],
            ],
        ),
    }


NAMES = {
    "vse": "VSE++",
    "dvsa": "DVSA",
    "dspe": "DSPE",
    "dpc": "DPC",
    "sco": "SCO",
    "scan": "SCAN t-i LSE",
    "pvse": "PVSE",
    "vsrn": "VSRN",
    "saem": "SAEM",
    "sgm": "SGM",
    "hoad": "HOAD",
    "gsmn": "GSMN",
    "sgraf": "SGRAF",
    "vse_infinity": "VSE-infinity",
    "lgsgm": "LGSGM",
}


def models() -> dict[str, Any]:
    scoring = read("models_scoring")
    others = {entry["model"] for entry in read("models").values()}
    graphs = {
        name: runs_of("models" if model in others else "compare_models", model)
        for model, name in NAMES.items()
    }
    photos = {
        name: runs_of("flickr8k", model, epochs=8 if model == "hoad" else None)
        for model, name in NAMES.items()
    }

    def recalls_of(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
        return table(
            ["", "seeds", "parameters", *RECALL_HEADER, "seconds"],
            [
                [
                    name,
                    str(len(runs)),
                    f"{runs[0]['parameters'] / 1e6:.2f} M",
                    *recalls(runs),
                    f"{min(run['seconds'] for run in runs):.0f}",
                ]
                for name, runs in rows.items()
            ],
        )

    def rounded(rate: float) -> str:
        return f"{float(f'{rate:.2g}'):,.0f}"

    def rate(rates: Mapping[str, float], name: str) -> str:
        times = float(f"{rates['whole'] / rates[name]:.2g}")
        return f"{rounded(rates[name])} ({times:,g} x)"

    return {
        "images": scoring["images"],
        "captions": scoring["captions"],
        "recalls": recalls_of(graphs),
        "recalls_of_photos": recalls_of(photos),
        "rates": table(
            ["", "all at once", "one caption at a time", "one pair at a time"],
            [
                [
                    name,
                    rounded(row["pairs_per_second"]["whole"]),
                    rate(row["pairs_per_second"], "captions"),
                    rate(row["pairs_per_second"], "pairs"),
                ]
                for name, row in scoring["rows"].items()
            ],
        ),
    }


def front_page() -> str:
    """The table of the README: one figure per model, rsum on the Flickr30k graphs."""
    rows = [
        ("SGM", "Wang et al., WACV 2020", "SGM", "sgm", runs_of("compare_models", "sgm")),
        ("HOAD", "Li et al., CVPR 2020", "HOAD", "hoad", runs_of("compare_models", "hoad")),
        ("SCAN", "Lee et al., ECCV 2018", "SCAN", "scan", runs_of("compare_models", "scan")),
        ("VSRN", "Li et al., ICCV 2019", "VSRN", "vsrn", runs_of("compare_models", "vsrn")),
        ("VSE++", "Faghri et al., BMVC 2018", "VSE", "vse", runs_of("compare_models", "vse")),
        (
            "DVSA",
            "Karpathy and Fei-Fei, CVPR 2015",
            "DVSA",
            "dvsa",
            runs_of("compare_models", "dvsa"),
        ),
    ]
    of_photos = spread_of_rsum(list(read("photos")["SGM"].values()))
    of_labels = spread_of_rsum(runs_of("flickr30k_minilm", "sgm", read_labels=True))
    return (
        table(
            ["model", "paper", "class", "command", "rsum"],
            [
                [label, paper, f"`models.{c}`", f"`pyg-sgm train {m}`", spread_of_rsum(runs)]
                for label, paper, c, m, runs in rows
            ],
        )
        + "\nWith a language model that reads captions and labels (`--recipe labels`, extra "
        + f"`minilm`)\nSGM has rsum {of_labels} there. On the 964 dev photos of Flickr8k, trained "
        + f"on its 5,827\ntraining photos, SGM with `--recipe photos` has {of_photos},\n"
        + "before the last change of the recipe, which brings 3 on photos held out.\n"
    )


PAGES: tuple[Callable[[], dict[str, Any]], ...] = (
    photos,
    models,
    scene_graphs,
    world,
    vision,
    parser,
    speed,
    gpu,
    search,
    queries,
    robustness,
    scale,
)
NOTE = "<!-- Written by docs/write_results.py from benchmarks/results/*.json. -->\n\n"


def files() -> dict[Path, str]:
    """What each written file should hold."""
    wanted = {}
    for page in PAGES:
        template = (ROOT / "docs" / "templates" / f"{page.__name__}.md").read_text()
        path = ROOT / "docs" / "results" / f"{page.__name__}.md"
        wanted[path] = NOTE + template.format(**page())
    template = (ROOT / "docs" / "templates" / "plan.md").read_text()
    wanted[ROOT / "docs" / "scale.md"] = NOTE + template.format(**plan())
    readme = (ROOT / "README.md").read_text()
    if BEGIN in readme:
        before, rest = readme.split(BEGIN)
        wanted[ROOT / "README.md"] = before + BEGIN + front_page() + END + rest.split(END)[1]
    return wanted


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--check", action="store_true", help="write nothing")
    check = arguments.parse_args().check
    stale = [p for p, text in files().items() if not p.exists() or p.read_text() != text]
    if check and stale:
        sys.exit(f"not what benchmarks/results say: {', '.join(map(str, stale))}")
    for path in [] if check else stale:
        path.write_text(files()[path])


if __name__ == "__main__":
    main()
