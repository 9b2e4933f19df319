"""Fine-tuning of the last blocks of a backbone, from the pixels of photos and their captions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pyg_sgm.data import PairBatch, PairedGraphs
from pyg_sgm.datasets import SceneGraphDataset
from pyg_sgm.io import counted, to_path
from pyg_sgm.losses import ContrastiveLoss
from pyg_sgm.models import GraphSizes, Matcher, build_model, find_recipe
from pyg_sgm.text import TextEncoder, word_features
from pyg_sgm.training.batches import epoch_batches
from pyg_sgm.training.decay import decay_groups
from pyg_sgm.vision.images import read_photo
from pyg_sgm.vision.region_features import pool_batch, square

CAPTIONS_PER_IMAGE = 2
JITTER = 0.2  # largest change of brightness and of contrast
MATCHER_LR = 1e-3
CLIP = 2.0


def finetune(
    net: nn.Module,
    dataset: SceneGraphDataset,
    encoder: TextEncoder,
    *,
    blocks: int = 5,
    epochs: int = 4,
    images_per_batch: int = 64,
    lr: float = 1e-4,
    weight_decay: float = 0.1,
    size: int = 256,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
) -> None:
    """Trains the last blocks of a backbone in place, so that photos match their captions.

    A new matcher of objects and words (SGM's ``"oom"`` with the recipe ``photos``) learns beside
    it, and is not kept: its regions are the means of the backbone's map over the boxes of the
    graphs. Photos are mirrored at random, with their boxes, and change in brightness and contrast.
    Vectors of words are frozen.

    Args:
        net (nn.Module): The backbone, which maps pixels 0 ... 255 to a feature map.
        dataset (SceneGraphDataset): Photos with files, boxes and captions.
        encoder (TextEncoder): Gives the vectors of words.
        blocks (int, optional): How many of its last blocks are trained, with what comes after them,
            see :func:`last_blocks`. (default: :obj:`5`)
        epochs (int, optional): Passes over all captions. (default: :obj:`4`)
        images_per_batch (int, optional): Photos in a batch. (default: :obj:`64`)
        lr (float, optional): Largest learning rate of the backbone. (default: :obj:`1e-4`)
        weight_decay (float, optional): Weight decay of all matrices. (default: :obj:`0.1`)
        size (int, optional): Side in pixels of the square that photos are resized to. (default:
            :obj:`256`)
        seed (int, optional): Of all that is random. (default: :obj:`0`)
        device (device or str, optional): Where it is trained; on a card in bfloat16. (default:
            :obj:`"cpu"`)
        progress (callable, optional): Called after each step with its number, from 1, that of all,
            and its loss. (default: :obj:`None`)

    Raises:
        ValueError: If a photo has no file or no boxes, the backbone has fewer blocks, there are no
            batches of two photos, a rate or the size is none, or a loss or its gradient is not
            finite.
    """
    for image in dataset.images:
        if image.file is None or image.boxes is None:
            lacks = "file" if image.file is None else "boxes"
            raise ValueError(f"image {image.id!r} has no {lacks}: nothing to fine-tune on")
    if not (0 < lr < float("inf") and 0 <= weight_decay < float("inf")):
        raise ValueError(f"expected lr > 0 and weight_decay >= 0, got {lr} and {weight_decay}")
    if size < 1:
        raise ValueError(f"size: expected a pixel at least, got {size}")
    if epochs < 1 or images_per_batch < 2 or len(dataset.images) < 2:
        raise ValueError(
            "expected an epoch and two photos in a batch at least, got "
            f"{counted(len(dataset.images), 'photo')}, epochs {epochs}, "
            f"images_per_batch {images_per_batch}"
        )
    trained = last_blocks(net, blocks)
    device = torch.device(device)
    files = [to_path(image.file) for image in dataset.images if image.file is not None]
    vocabularies = dataset.vocabularies()
    # Features are made of pixels here.
    graphs = dataset.replace(features={}).encode(
        vocabularies, partial(word_features, encoder=encoder)
    )
    net.eval().requires_grad_(False).to(device)
    with torch.inference_mode():
        dim = net(torch.zeros(1, 3, size, size, device=device)).shape[1]
    for parameter in trained:
        parameter.requires_grad_(True)
    options = find_recipe("sgm", "photos").options
    options = {**options, "variant": "oom", "embed": encoder.dim}
    model = build_model("sgm", GraphSizes.of(vocabularies, dim, encoder.dim), options, seed)
    labels = encoder.labels(vocabularies)
    model.init_embeddings(**{name: labels[name] for name in model.embeddings() if name in labels})
    model.train().to(device)
    order = [
        rows
        for epoch in range(epochs)
        for rows in epoch_batches(
            graphs.image_of_text, images_per_batch, CAPTIONS_PER_IMAGE, seed, epoch
        )
    ]
    cards = range(torch.cuda.device_count() if device.type == "cuda" else 0)
    with torch.random.fork_rng(devices=cards):
        torch.manual_seed(seed)
        batches = _batches(graphs, files, order, size)
        _train(net, model, trained, batches, (lr, weight_decay), len(order), device, progress)
    net.requires_grad_(False)


def last_blocks(net: nn.Module, blocks: int) -> list[nn.Parameter]:
    """The parameters of the last of the blocks of a network, which are the members of its longest
    list of modules, and of what it names after them.

    Args:
        net (nn.Module): The network.
        blocks (int): How many blocks.

    Raises:
        ValueError: If it has no list of modules, or fewer blocks.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 8, 1))
        >>> [list(parameter.shape) for parameter in last_blocks(net, 1)]
        [[8, 4, 1, 1], [8]]
    """
    lists = [
        list(part.children())
        for part in net.modules()
        if isinstance(part, nn.ModuleList | nn.Sequential)
    ]
    longest = max(lists, key=len, default=[])
    if not 1 <= blocks <= len(longest):
        raise ValueError(f"blocks: expected 1 to {len(longest)} of this backbone, got {blocks}")
    first = {id(p) for block in longest[-blocks:] for p in block.parameters()}
    everything = list(net.parameters())
    start = min(i for i, parameter in enumerate(everything) if id(parameter) in first)
    return everything[start:]


def _train(
    net: nn.Module,
    model: Matcher,
    trained: Sequence[nn.Parameter],
    batches: Iterator[tuple[PairBatch, Tensor]],
    rates: tuple[float, float],
    steps: int,
    device: torch.device,
    progress: Callable[[int, int, float], None] | None,
) -> None:
    loss = ContrastiveLoss().to(device)
    lr, decay = rates
    others = [*model.parameters(), *loss.parameters()]
    groups = decay_groups(trained, decay, lr=lr) + decay_groups(others, decay, lr=MATCHER_LR)
    optimizer = torch.optim.AdamW(groups)
    rates_of_groups = [group["lr"] for group in groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates_of_groups, steps + 1)
    for step, (batch, pixels) in enumerate(batches, start=1):
        batch, pixels = batch.to(device), pixels.to(device, non_blocking=True)
        objects = batch.image["object"]
        pixels, objects.box = _augmented(pixels, objects.box, objects.batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            maps = net(pixels)
        objects.x = pool_batch(maps.float(), objects.box, objects.batch)
        scores = model.score(model.encode_image(batch.image), model.encode_text(batch.text))
        value = loss(scores.float(), batch.image_of_text)
        optimizer.zero_grad()
        value.backward()
        norm = torch.nn.utils.clip_grad_norm_([*trained, *others], CLIP)
        number = float(value.detach())
        if not (norm.isfinite() and math.isfinite(number)):
            raise ValueError(f"step {step}: loss {number}, norm of its gradient {norm}: lower lr")
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step, steps, number)


def _augmented(pixels: Tensor, box: Tensor, image_of_box: Tensor) -> tuple[Tensor, Tensor]:
    """Photos mirrored at random with their boxes, and brighter or darker, paler or stronger."""
    count = len(pixels)
    mirrored = torch.rand(count, device=pixels.device) < 0.5
    pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)
    other = torch.stack([1 - box[:, 2], box[:, 1], 1 - box[:, 0], box[:, 3]], dim=1)
    box = torch.where(mirrored[image_of_box, None], other, box)
    bright, contrast = 1 + JITTER * (2 * torch.rand(2, count, 1, 1, 1, device=pixels.device) - 1)
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    return ((pixels - mean) * contrast + mean * bright).clamp(0, 255), box


def _batches(
    graphs: PairedGraphs, files: Sequence[Path], order: Sequence[Tensor], size: int
) -> Iterator[tuple[PairBatch, Tensor]]:
    """Graphs and pixels of each batch; those of the next are read while one is trained on."""

    def read(file: Path) -> np.ndarray:
        return square(read_photo(file, at_most=2 * size).pixels, size)

    with ThreadPoolExecutor() as pool:

        def begun(rows: Tensor) -> tuple[PairBatch, list[Future[np.ndarray]]]:
            batch = graphs.batch(rows)
            return batch, [pool.submit(read, files[i]) for i in batch.image_index.tolist()]

        ahead = map(begun, order)
        waiting = list(itertools.islice(ahead, 1))
        for following in itertools.chain(ahead, [None]):
            batch, pixels = waiting.pop()
            if following is not None:
                waiting.append(following)
            stacked = torch.from_numpy(np.stack([each.result() for each in pixels]))
            yield batch, stacked.permute(0, 3, 1, 2).float()
