"""Train the learned caption parser on FACTUAL and write its weights.

    python examples/train_parser.py --root DATA --out WEIGHTS

DATA holds ``train.csv.gz`` and ``dev.csv`` with the columns ``caption`` and ``scene_graph``. One
caption in twenty of the training file is held out: every choice is made on these, and dev.csv is
scored once at the end.
"""

import argparse
import csv
import gzip
from pathlib import Path

import torch

from pyg_sgm.data import read_scene_graph
from pyg_sgm.text.learned import LearnedParser, score_parser, train_parser

arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
arguments.add_argument("--root", type=Path, required=True)
arguments.add_argument("--vectors", type=Path, help="GloVe text, 100 numbers per word, gzipped")
arguments.add_argument("--out", type=Path, required=True)
arguments.add_argument("--epochs", type=int, default=14)
args = arguments.parse_args()


def read(path: Path) -> list[tuple[str, dict]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="", encoding="utf-8") as file:
        return [
            (row["caption"], read_scene_graph(row["scene_graph"])) for row in csv.DictReader(file)
        ]


def show(title: str, parser: LearnedParser, rows: list[tuple[str, dict]]) -> None:
    score = score_parser(parser, rows)
    print(f"{title}: F1 {score.all.f1:.4f}, exact {score.exact:.4f}", flush=True)


rows = read(args.root / "train.csv.gz")
held_out, train = rows[::20], [row for at, row in enumerate(rows) if at % 20]
vectors = {}
if args.vectors:
    with gzip.open(args.vectors, "rt", encoding="utf-8") as file:
        for line in file:
            word, *numbers = line.split()
            vectors[word] = torch.tensor([float(number) for number in numbers])

parser = train_parser(
    train,
    vectors,
    epochs=args.epochs,
    on_epoch=lambda parser, epoch, loss: show(f"epoch {epoch}: loss {loss:.3f}", parser, held_out),
)
parser.save(args.out)
show("dev", LearnedParser.load(args.out), read(args.root / "dev.csv"))
