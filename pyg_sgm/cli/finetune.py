"""``pyg-sgm finetune``"""

from pathlib import Path

from pyg_sgm.cli._app import Data, check_out, console, count_up
from pyg_sgm.cli._data import open_captioned


def finetune(
    *,
    data: Data,
    graphs: str,
    out: Path,
    split: str = "train",
    captions: Path | None = None,
    backbone: str | None = None,
    text_encoder: str = "minilm",
    blocks: int = 5,
    epochs: int = 4,
    images_per_batch: int = 64,
    lr: float = 1e-4,
    weight_decay: float = 0.1,
    size: int = 256,
    seed: int = 0,
    device: str | None = None,
) -> None:
    """Train the last blocks of a backbone so that photos match their captions, and keep its weights
    in a file. Graphs with its features are made with --backbone finetuned:FILE, and trained on as
    any others.

    Parameters
    ----------
    graphs
        Folder of the graphs of the photos, whose boxes are the regions; their features are not
        read.
    out
        File of the weights, such as backbone.safetensors.
    split
        Split of the data to train on; what is evaluated on should not be in it.
    captions
        CSV file of image,caption for data without, such as images:FOLDER.
    backbone
        One network, by the name that graphs takes. [default: efficientnet_lite0]
    text_encoder
        Language model whose frozen vectors words have: minilm (extra minilm), or hf:NAME.
    blocks
        How many of its last blocks are trained, with what comes after them.
    epochs
        Passes over all captions.
    images_per_batch
        Photos in a batch.
    lr
        Largest learning rate of the backbone.
    weight_decay
        Weight decay of matrices.
    size
        Side in pixels of the square that photos are resized to.
    seed
        Of all that is random.
    device
        Such as cpu or cuda. [default: cuda, if there is one]
    """
    import torch

    from pyg_sgm.retrieval import with_graphs
    from pyg_sgm.retrieval.prepare import with_known_images
    from pyg_sgm.text import open_text_encoder
    from pyg_sgm.training import finetune
    from pyg_sgm.vision import open_backbone
    from pyg_sgm.vision.backbones.registry import DEFAULT_BACKBONE, save_finetuned

    check_out(out)
    name = backbone or DEFAULT_BACKBONE
    if "+" in name:
        raise ValueError(f"--backbone: one network at a time, got {name!r}")
    dataset = open_captioned(data, split, captions)
    net = open_backbone(name)
    encoder = open_text_encoder(text_encoder)
    with count_up("images to graphs") as graphs_done:
        dataset = with_known_images(with_graphs(dataset, graphs, progress=graphs_done))
    losses: list[float] = []
    with count_up("steps") as steps_done:

        def progress(step: int, steps: int, loss: float) -> None:
            losses.append(loss)
            steps_done(step, steps)

        finetune(
            net,
            dataset,
            encoder,
            blocks=blocks,
            epochs=epochs,
            images_per_batch=images_per_batch,
            lr=lr,
            weight_decay=weight_decay,
            size=size,
            seed=seed,
            device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
            progress=progress,
        )
    save_finetuned(out, name, net.cpu())
    each = -(-len(losses) // epochs)
    first, last = (sum(part) / len(part) for part in (losses[:each], losses[-each:]))
    console.print(f"loss of the first epoch {first:.3f}, of the last {last:.3f}", highlight=False)
    console.print(f"The weights are in {out}", markup=False, highlight=False)
