"""The command ``pyg-sgm``: needs the extra ``train``."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

try:
    from cyclopts import App, CycloptsError, Parameter
    from cyclopts.config import Yaml
    from rich.console import Console
    from rich.progress import open as progress_open
    from rich.table import Table
except ImportError as error:
    raise ImportError("the command line needs more: pip install pyg_sgm[train]") from error

from pyg_sgm.data import TextRecord, text_record
from pyg_sgm.datasets import SceneGraphDataset, open_dataset
from pyg_sgm.metrics.retrieval import RetrievalMetrics
from pyg_sgm.retrieval import Attention, Explanation, SceneGraphMatcher, with_parses
from pyg_sgm.text import draw as draw_graph
from pyg_sgm.text import parse as parse_caption
from pyg_sgm.text import parse_stream
from pyg_sgm.training import Recipe, find_recipe
from pyg_sgm.training.fit import is_first_process
from pyg_sgm.training.folder import write_text
from pyg_sgm.training.recipes import Schedule
from pyg_sgm.training.run_folder import PARSES

app = App(
    name="pyg-sgm",
    help="Match images with captions by their scene graphs.",
    version_flags=[],
    result_action="return_value",
)
console = Console()

Model = Annotated[str, Parameter(help="Model, such as sgm.")]
Data = Annotated[
    str,
    Parameter(help="Dataset: flickr30k-sgm:ROOT, scene-world, or scene-world:num_images=200,..."),
]
Run = Annotated[Path, Parameter(help="Folder of a training run or of a saved matcher.")]


@app.command
def train(
    model: Model,
    *,
    data: Data,
    out: Path,
    split: str = "train",
    dev_every: int | None = None,
    dev_split: str | None = None,
    word_vectors: Path | None = None,
    recipe: str = "default",
    options: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    epochs: int | None = None,
    images_per_batch: int | None = None,
    captions_per_image: int | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    schedule: Schedule | None = None,
    warmup: float | None = None,
    clip: float | None = None,
    loss: Literal["contrastive", "hoad", "triplet"] | None = None,
    patience: int | None = None,
    precision: str | None = None,
    seed: int = 0,
    devices: int = 1,
    accelerator: str = "auto",
    gather_negatives: Annotated[bool, Parameter(negative="")] = False,
    resume: Annotated[bool, Parameter(negative="")] = False,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Train a model and keep its best weights, a checkpoint and logs in a folder.

    Parameters
    ----------
    out
        Folder of the run. It must be new, unless --resume or --overwrite is given.
    split
        Split of the data to train on.
    dev_every
        Keep every so many-th image of the split, by sorted name, for choosing the best weights;
        0 for none. [default: 5, or 0 with --dev-split]
    dev_split
        Another split for choosing the best weights.
    word_vectors
        Text file of word vectors that the embeddings start from.
    recipe
        Settings to start from: default, or paper.
    options
        Option of the model as NAME=VALUE, such as dim=256; may be given several times.
    epochs
        Passes over all texts.
    images_per_batch
        Images a batch, over all devices together.
    captions_per_image
        Texts of each image in a batch.
    lr
        Largest learning rate.
    weight_decay
        Weight decay of matrices and embeddings.
    schedule
        Course of the learning rate.
    warmup
        Share of all steps in which the learning rate rises.
    clip
        Largest norm of the gradient; 0 for any.
    loss
        Loss on the score matrix.
    patience
        Epochs without a better dev rsum after which training stops; 0 for never.
    precision
        Such as 32-true or bf16-mixed.
    seed
        Initial weights, order of the batches, dropout.
    devices
        Processes that share each batch.
    accelerator
        Such as cpu or cuda.
    gather_negatives
        Let every device see the batches of all of them.
    resume
        Go on with an interrupted run from its last whole epoch.
    overwrite
        Replace the run that is there.
    """
    changes = {
        name: value
        for name, value in locals().items()
        if name in {field.name for field in fields(Recipe)} - {"options"} and value is not None
    }
    settings = _options(options or [])
    matcher = SceneGraphMatcher(model, **settings)
    chosen = find_recipe(model, recipe).replace(**changes)
    dataset, dev = _split(data, split, dev_every, dev_split, out / PARSES)
    matcher.fit(
        dataset,
        dev,
        chosen,
        word_vectors,
        out,
        seed=seed,
        devices=devices,
        accelerator=accelerator,
        gather_negatives=gather_negatives,
        resume=resume,
        overwrite=overwrite,
    )
    if is_first_process():
        if dev is not None:
            console.print(_table(matcher.evaluate(dev), f"{dev}, best epoch"))
        console.print(f"The model is in {out}")


@app.command
def evaluate(
    run: Run,
    *,
    data: Data,
    split: str = "test",
    dev_every: int = 0,
    rerank: Literal["distraction"] | None = None,
    gamma: float = 4e-3,
    top: int = 10,
    json: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:
    """Print recall and median rank of a trained model in both directions.

    Parameters
    ----------
    split
        Split of the data.
    dev_every
        If not 0, only the images that training with the same value keeps for choosing weights.
    rerank
        Re-rank the first of every query by distraction, and print both results.
    gamma
        Weight of the distraction score.
    top
        How many of every query are re-ranked.
    json
        File for the metrics: i2t and t2i with r1, r5, r10, medr, and rsum; recalls in percent.
        Of a re-ranked result, with those of the first ranking under "first".
    """
    matcher = _open(run)
    dataset = with_parses(open_dataset(data, split), run / PARSES)
    if dev_every:
        dataset = dataset.split_every(dev_every)[1]
    metrics: dict[str, Any]
    if rerank is None:
        first = matcher.evaluate(dataset)
        metrics = {**first}
    else:
        first, reranked = matcher.evaluate_reranked(dataset, top, gamma)
        metrics = {**reranked, "first": first}
    console.print(_table(first, f"{dataset}"))
    if rerank is not None:
        console.print(_table(reranked, f"{dataset}, re-ranked by {rerank}"))
    if json is not None:
        _write_json(json, metrics)


@app.command
def explain(
    run: Run,
    *,
    data: Data,
    image: str,
    text: str,
    split: str = "test",
    triplet: Annotated[list[str] | None, Parameter(negative="")] = None,
    image_file: Path | None = None,
    out: Path | None = None,
) -> None:
    """Show which word matched which object, and which triplet which relation; for HOAD, which node
    of the text attends to which of the image.

    Parameters
    ----------
    image
        Name of the image in the data.
    text
        A caption. If it is one of the data, it has the triplets it has there, else it is parsed.
    split
        Split of the data.
    triplet
        A triplet of the caption, as "man,ride,horse", instead of parsing it; may be given several
        times.
    image_file
        The pixels, to draw the match on.
    out
        File of the picture, such as match.png.
    """
    matcher = _open(run)
    dataset = open_dataset(data, split)
    if image not in dataset.image_ids:
        some = ", ".join(dataset.image_ids[:3])
        raise ValueError(f"--image: no {image!r} among {len(dataset.images)} images: {some}, ...")
    one = dataset.select_images([dataset.image_ids.index(image)])
    explanation = matcher.explain(one, _text(text, triplet or [], one, dataset))
    if isinstance(explanation, Attention):
        _print_attention(explanation)
    else:
        _print_explanation(explanation)
    if out is not None:
        if isinstance(explanation, Attention):
            from pyg_sgm.viz_attention import draw_attention

            draw_attention(explanation, out, image_file)
        else:
            from pyg_sgm.viz import draw_match

            draw_match(explanation, out, image_file)
        console.print(f"The picture is in {out}")


@app.command
def parse(
    caption: str | None = None,
    *,
    file: Path | None = None,
    out: Path | None = None,
    backend: Literal["learned", "rules"] = "learned",
    draw: Path | None = None,
) -> None:
    """Turn captions into scene graphs.

    Parameters
    ----------
    caption
        One caption, whose graph is printed.
    file
        Captions, one a line, instead.
    out
        File of the graphs of --file, one JSON object a line in the order of the captions: caption,
        objects, attributes, relations.
    backend
        The network that comes with the package, or rules on spaCy's trees.
    draw
        File of a picture of the caption's graph, such as graph.png.
    """
    if (caption is None) == (file is None):
        raise ValueError("give one caption, or --file")
    if caption is not None:
        parsed = parse_caption(caption, backend)
        console.print(str(parsed) or "(nothing)", markup=False, highlight=False)
        if draw is not None:
            draw_graph(parsed, draw)
            console.print(f"The picture is in {draw}")
        return
    assert file is not None
    if out is None or draw is not None:
        raise ValueError("--file goes with --out, and not with --draw")
    if not out.parent.is_dir():
        raise ValueError(f"{out}: there is no folder {out.parent}")
    side, number = out.with_name(f"{out.name}.{os.getpid()}.tmp"), 0
    try:
        lines = (line.rstrip("\r\n") for line in _lines(file))
        with side.open("w", encoding="utf-8") as graphs:
            for parsed in parse_stream(lines, backend):
                number += 1
                graphs.write(json.dumps(parsed.to_dict(), ensure_ascii=False) + "\n")
        os.replace(side, out)
    finally:
        side.unlink(missing_ok=True)
    console.print(f"{number} graphs are in {out}")


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Path | None = None,
) -> None:
    """Runs a command with the settings of a file beneath its flags.

    Parameters
    ----------
    config
        YAML file of flags and their values, such as "lr: 0.001"; flags on the line go before it.
    """
    file = () if config is None else (Yaml(config, must_exist=True, use_commands_as_keys=False),)
    app.config = file
    app(tokens, exit_on_error=False, print_error=False)


def main(tokens: Sequence[str] | None = None) -> None:
    """Runs the command line; a mistake of the user is one line and exit status 2.

    Args:
        tokens: The words of the command line. (default: those of the process)
    """
    try:
        app.meta(
            sys.argv[1:] if tokens is None else list(tokens),
            exit_on_error=False,
            print_error=False,
        )
    except (CycloptsError, ValueError, OSError, ImportError) as error:
        message = " ".join(str(error).split())
        print(f"pyg-sgm: {message}", file=sys.stderr)
        sys.exit(2)


def _open(run: Path) -> SceneGraphMatcher:
    if not run.is_dir():
        raise ValueError(f"{run}: there is no such folder of a training run")
    return SceneGraphMatcher.from_pretrained(run)


def _split(
    data: str, split: str, dev_every: int | None, dev_split: str | None, parses: Path
) -> tuple[SceneGraphDataset, SceneGraphDataset | None]:
    dataset = with_parses(open_dataset(data, split), parses)
    if dev_split is not None:
        if dev_every:
            raise ValueError("--dev-every and --dev-split exclude each other")
        return dataset, with_parses(open_dataset(data, dev_split), parses)
    if dev_every == 0:
        return dataset, None
    return dataset.split_every(5 if dev_every is None else dev_every)


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"--set: expected NAME=VALUE, got {pair!r}")
        try:
            options[name] = json.loads(value.lower() if value in ("True", "False") else value)
        except ValueError:
            options[name] = value
    return options


def _text(
    text: str, triplets: Sequence[str], one: SceneGraphDataset, dataset: SceneGraphDataset
) -> TextRecord:
    if not triplets:
        for record in (*one.texts, *dataset.texts):
            if record.caption == text and record.objects:
                return record
        return parse_caption(text).to_record()
    relations = []
    for triplet in triplets:
        parts = [part.strip() for part in triplet.split(",")]
        if len(parts) != 3 or not all(parts):
            raise ValueError(f'--triplet: expected "subject,predicate,object", got {triplet!r}')
        relations.append((parts[0], parts[1], parts[2]))
    return text_record(text, relations=relations)


def _lines(path: Path) -> Iterator[str]:
    """Lines of a text file, beneath a progress bar."""
    with progress_open(path, "r", encoding="utf-8", description="parsing", console=console) as file:
        try:
            yield from file
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text ({error})") from error


def _write_json(path: Path, value: Any) -> None:
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}")
    write_text(path, json.dumps(value, indent=2) + "\n")


def _table(metrics: RetrievalMetrics, title: str) -> Table:
    table = Table(title=title, caption=f"rsum {metrics['rsum']:.1f}", title_justify="left")
    for column in ("", "R@1", "R@5", "R@10", "median rank"):
        table.add_column(column, justify="right" if column else "left")
    for name, side in (("image to text", metrics["i2t"]), ("text to image", metrics["t2i"])):
        table.add_row(name, *(f"{value:.1f}" for value in side.values()))
    return table


def _print_explanation(explanation: Explanation) -> None:
    table = Table(title=explanation.text.caption, title_justify="left")
    for column in ("word or triplet", "object or relation"):
        table.add_column(column)
    for column in ("similarity", "weight", "adds"):
        table.add_column(column, justify="right")
    level = ""
    for match in explanation.matches:
        if match.level == "reverse":  # one row an object, of little use to a reader
            continue
        if level and match.level != level:
            table.add_section()
        level = match.level
        numbers = (match.similarity, match.weight, match.contribution)
        table.add_row(match.text_name, match.image_name, *(f"{number:.3f}" for number in numbers))
    console.print(table)
    parts = " + ".join(f"{name} {value:.3f}" for name, value in explanation.levels.items())
    console.print(f"score {explanation.score:.3f} = {parts}")


def _print_attention(attention: Attention) -> None:
    """Where every node of the text looks first, and the nodes of the image with most votes."""
    table = Table(title=attention.text.caption, title_justify="left")
    for column in ("node of the text", "looks at"):
        table.add_column(column)
    for column in ("attention", "weight"):
        table.add_column(column, justify="right")
    for node, row, weight in zip(
        attention.text_nodes, attention.weights, attention.text_weights.tolist(), strict=True
    ):
        best = int(row.argmax()) if row.numel() and float(row.max()) > 0 else None
        name = "nothing" if best is None else attention.image_nodes[best].name
        value = 0.0 if best is None else float(row[best])
        table.add_row(node.name, name, f"{value:.3f}", f"{weight:.3f}")
    console.print(table)
    console.print(f"score {attention.score:.3f}, distraction {attention.image_distraction:.3f}")
