"""Trains the relation head on boxes, labels and relations of images, and writes its weights.

    python examples/train_relations.py --data vg150:DATA/vg150 --vectors DATA/glove100.txt.gz \
        --out pyg_sgm/vision/weights/relations.safetensors

``vg150:FOLDER`` is Visual Genome, ``vrd:FOLDER`` Visual Relationship Detection; see
:func:`pyg_sgm.vision.relations.annotations.read_annotations` for their files. Every fifth image is
held out and scored once at the end. For choices, ``--tune`` takes the same fifth of the rest
instead, and the held-out images stay unseen.
"""

import argparse
import json
import random
from pathlib import Path

import torch

from pyg_sgm.vision.relations.annotations import hold_out, read_annotations
from pyg_sgm.vision.relations.measures import measure
from pyg_sgm.vision.relations.train import new_relation_head, train_relation_head


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--data", required=True, help="vg150:FOLDER or vrd:FOLDER")
    arguments.add_argument("--vectors", type=Path, required=True)
    arguments.add_argument("--out", type=Path, help="file for the weights (default: none)")
    arguments.add_argument("--tune", action="store_true")
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--batch-size", type=int, default=256)
    arguments.add_argument("--lr", type=float, default=1e-3)
    arguments.add_argument("--seed", type=int, default=0)
    args = arguments.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)

    kind, _, folder = args.data.partition(":")
    records, held_out = hold_out(read_annotations(kind, folder))
    if args.tune:
        records, held_out = hold_out(records)
    head = new_relation_head(records, args.vectors)
    train_relation_head(
        head,
        records,
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        progress=lambda epoch, loss: print(f"epoch {epoch}: loss {loss:.3f}", flush=True),
    )
    print(json.dumps(measure(head, held_out), indent=1))
    if args.out:
        head.save(args.out)


if __name__ == "__main__":
    main()
