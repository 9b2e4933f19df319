"""The Lightning modules of a training: needs the extra ``train``."""

import math
import warnings

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pyg_sgm.data import PairBatch, PairedGraphs
from pyg_sgm.losses import TripletLoss, edit_loss
from pyg_sgm.models import Encoding, Matcher
from pyg_sgm.models.recipe import Recipe
from pyg_sgm.training.batches import BatchOrder, batch_loader, blank
from pyg_sgm.training.decay import decay_groups
from pyg_sgm.training.gather import gather_pairs


class PairData(pl.LightningDataModule):
    """Batches of paired graphs in an order that seed and epoch determine.

    Args:
        graphs (PairedGraphs): What is trained on.
        recipe (Recipe): Gives the size of a batch.
        seed (int, optional): Seed of the order. (default: :obj:`0`)
    """

    def __init__(self, graphs: PairedGraphs, recipe: Recipe, seed: int = 0) -> None:
        super().__init__()
        self.graphs = graphs
        self.recipe = recipe
        self.seed = seed

    def train_dataloader(self) -> DataLoader[PairBatch]:
        order = BatchOrder(
            self.graphs,
            self.recipe.images_per_batch,
            self.recipe.captions_per_image,
            self.seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
        )
        return batch_loader(self.graphs, order, self.recipe.edits_per_batch, self.seed)


class MatcherTraining(pl.LightningModule):
    """A model, a loss and a recipe: blank and encode both sides of a batch, score, loss.

    All random numbers of an epoch follow from seed, epoch and rank, so a training that goes on
    from the end of an epoch is the same as one that never stopped.

    Args:
        model (Matcher): Any matcher.
        recipe (Recipe): Loss, optimizer and schedule.
        seed (int, optional): Seed of dropout and the like. (default: :obj:`0`)
        gather_negatives (bool, optional): With several devices, every device sees the batches of
            all of them, which gives the gradients of one device with the whole batch; otherwise
            negatives come from a device's own share alone. (default: :obj:`False`)
    """

    def __init__(
        self, model: Matcher, recipe: Recipe, seed: int = 0, gather_negatives: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.loss: nn.Module = recipe.make_loss()
        self.recipe = recipe
        self.seed = seed
        self.gather_negatives = gather_negatives
        self.losses: list[Tensor] = []  # of the steps of this epoch
        self._warned = False
        self._steps_per_epoch = 0

    def on_train_start(self) -> None:
        # A resumed optimizer has the rate of its recipe; if this one has more epochs, that is
        # another, else the same number.
        step = self.trainer.lr_scheduler_configs[0].scheduler.last_epoch
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.recipe.lr * lr_factor(step, self._steps_per_epoch, self.recipe)

    def on_train_epoch_start(self) -> None:
        key = [self.seed, self.current_epoch, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))
        self.losses.clear()

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        batch = blank(batch, self.recipe.feature_dropout, self.recipe.word_dropout)
        image = self.model.encode_image(batch.image)
        text = self.model.encode_text(batch.text)
        of_edits = self._edit_loss(image, batch)
        side = self.model.side_loss(image, text, batch)
        image_of_text = batch.image_of_text
        if self.gather_negatives and self.trainer.world_size > 1:
            image, text, image_of_text = gather_pairs(image, text, image_of_text, batch.image_index)
        loss: Tensor = self.loss(self.model.score(image, text).float(), image_of_text)
        if of_edits is not None:
            loss = loss + self.recipe.edit_weight * of_edits
        if side is not None:
            self.log("side_loss", side.detach(), batch_size=len(image_of_text))
            loss = loss + side.float()
        self.losses.append(loss.detach())
        self.log("loss", loss, batch_size=len(image_of_text))
        return loss

    def _edit_loss(self, image: Encoding, batch: PairBatch) -> Tensor | None:
        """The loss on edited texts, against the images of this process."""
        if batch.edited is None or batch.image_of_edit is None:
            return None
        scores = self.model.score(image, self.model.encode_text(batch.edited)).float()
        true, false = scores.chunk(2, dim=1)
        loss = edit_loss(true, false, batch.image_of_edit)
        self.log("edit_loss", loss.detach(), batch_size=len(batch.image_of_edit))
        return loss

    def on_train_epoch_end(self) -> None:
        epoch = self.current_epoch + 1
        finite = torch.stack(self.losses).isfinite().all()
        if not finite or not all(value.isfinite().all() for value in self.parameters()):
            raise ValueError(
                f"loss or weights became infinite or NaN in epoch {epoch}: lower lr, or clip"
            )
        if isinstance(self.loss, TripletLoss) and self.loss.collapsed and not self._warned:
            self._warned = True
            warnings.warn(
                "the hardest-negative training has collapsed: all scores of a batch are alike and "
                f"the loss is stuck at twice its margin per text (epoch {epoch}); "
                "raise the loss option warmup_calls, or lower lr",
                stacklevel=1,
            )

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        # Biases and gains are not decayed, but for plain Adam; the loss' own parameters never are.
        least = 1 if self.recipe.optimizer == "adam" else 2
        groups = decay_groups(self.model.parameters(), self.recipe.weight_decay, least)
        groups[1]["params"] += [p for p in self.loss.parameters() if p.requires_grad]
        kind = torch.optim.Adam if self.recipe.optimizer == "adam" else torch.optim.AdamW
        # On a card in one kernel; Lightning does not clip what a gradient scaler unscales in it.
        on_card = all(p.is_cuda for group in groups for p in group["params"])
        scaled = self.trainer.precision == "16-mixed"
        optimizer = kind(groups, lr=self.recipe.lr, fused=(on_card and not scaled) or None)
        steps = int(self.trainer.estimated_stepping_batches) // self.recipe.epochs
        self._steps_per_epoch = steps
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: lr_factor(step, steps, self.recipe)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


def lr_factor(step: int, steps_per_epoch: int, recipe: Recipe) -> float:
    """Share of ``recipe.lr`` at a step.

    One-cycle rises along a cosine from 1/25 over the first 30 % of the steps, and falls along a
    cosine to 1/10,000 over the rest. The others rise linearly over the share ``recipe.warmup``.

    Args:
        step (int): Steps done, from 0.
        steps_per_epoch (int): Steps of one epoch.
        recipe (Recipe): Names the schedule.

    Example:
        >>> from pyg_sgm.training import Recipe
        >>> lr_factor(30, steps_per_epoch=2, recipe=Recipe(schedule="step", step_epochs=15))
        0.1
    """
    total = recipe.epochs * steps_per_epoch
    if recipe.schedule == "one-cycle":
        peak = 0.3 * total
        if step < peak:
            return _cosine(1 / 25, 1.0, step / peak)
        return _cosine(1.0, 1e-4, (step - peak) / (total - peak))
    warmup = recipe.warmup * total
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if recipe.schedule == "step":
        return 0.1 ** (step // (recipe.step_epochs * steps_per_epoch))
    if recipe.schedule == "cosine":
        return _cosine(1.0, 0.0, (step - warmup) / (total - warmup))
    return 1.0


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
