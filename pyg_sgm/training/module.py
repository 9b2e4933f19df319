"""The Lightning modules of a training: needs the extra ``train``."""

import warnings

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pyg_sgm.data import PairBatch, PairedGraphs
from pyg_sgm.losses import TripletLoss
from pyg_sgm.models import Matcher
from pyg_sgm.training.batches import BatchOrder, batch_loader
from pyg_sgm.training.blanks import blank
from pyg_sgm.training.gather import gather_pairs
from pyg_sgm.training.recipes import Recipe
from pyg_sgm.training.schedule import lr_factor


class PairData(pl.LightningDataModule):
    """Batches of paired graphs in an order that seed and epoch determine.

    Args:
        graphs (PairedGraphs): What is trained on.
        recipe (Recipe): Gives the size of a batch.
        seed (int): Seed of the order. (default: :obj:`0`)
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
        return batch_loader(self.graphs, order)


class MatcherTraining(pl.LightningModule):
    """A model, a loss and a recipe: blank and encode both sides of a batch, score, loss.

    All random numbers of an epoch follow from seed, epoch and rank, so a training that goes on
    from the end of an epoch is the same as one that never stopped.

    Args:
        model (Matcher): Any matcher.
        recipe (Recipe): Loss, optimiser and schedule.
        seed (int): Seed of dropout and the like. (default: :obj:`0`)
        gather_negatives (bool): With several devices, every device sees the batches of all of
            them, which gives the gradients of one device with the whole batch; otherwise negatives
            come from a device's own share alone. (default: :obj:`False`)
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

    def on_train_epoch_start(self) -> None:
        key = [self.seed, self.current_epoch, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))
        self.losses.clear()

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        batch = blank(batch, self.recipe.feature_dropout, self.recipe.word_dropout)
        image = self.model.encode_image(batch.image)
        text = self.model.encode_text(batch.text)
        image_of_text = batch.image_of_text
        if self.gather_negatives and self.trainer.world_size > 1:
            image, text, image_of_text = gather_pairs(image, text, image_of_text, batch.image_index)
        loss = self.loss(self.model.score(image, text).float(), image_of_text)
        self.losses.append(loss.detach())
        self.log("loss", loss, prog_bar=True, batch_size=len(image_of_text))
        return loss

    def on_train_epoch_end(self) -> None:
        if not torch.stack(self.losses).isfinite().all():
            raise ValueError(
                f"the loss became infinite or NaN in epoch {self.current_epoch}: lower lr, or clip"
            )
        if isinstance(self.loss, TripletLoss) and self.loss.collapsed and not self._warned:
            self._warned = True
            warnings.warn(
                "the hardest-negative training has collapsed: all scores of a batch are alike and "
                f"the loss is stuck at twice its margin a text (epoch {self.current_epoch}); "
                "raise the loss option warmup, or lower lr",
                stacklevel=1,
            )

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        # Biases, gains and the loss' own parameters are not decayed.
        decayed = [p for p in self.model.parameters() if p.dim() > 1 and p.requires_grad]
        others = [p for p in self.model.parameters() if p.dim() <= 1 and p.requires_grad]
        others += [p for p in self.loss.parameters() if p.requires_grad]
        groups = [
            {"params": decayed, "weight_decay": self.recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.recipe.lr)
        steps = int(self.trainer.estimated_stepping_batches) // self.recipe.epochs
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: lr_factor(step, steps, self.recipe)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
