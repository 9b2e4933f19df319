"""What tells one trained model from another."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict

from torch import Tensor

from pyg_sgm.io import digest
from pyg_sgm.models.query_bank import TEMPERATURE
from pyg_sgm.models.registry import find_model
from pyg_sgm.models.serialization import SavedModel, bank_temperature
from pyg_sgm.vision.attributes import AttributeHead


class Fingerprint:
    """The fingerprint of a model, computed again only when its weights have changed."""

    def __init__(self) -> None:
        self._known: tuple[object, str] | None = None

    def of(self, saved: SavedModel) -> str:
        """The same for equal weights, options, vocabularies, temperature of the query bank and
        head of attributes, on any device.

        Args:
            saved (SavedModel): The model.
        """
        weights: dict[str, Tensor] = dict(saved.model.state_dict())
        if isinstance(saved.attribute_head, AttributeHead):
            of_head = saved.attribute_head.state_dict().items()
            weights |= {f"attribute_head.{name}": weight for name, weight in of_head}
        state = (id(saved.model), [_state(weight) for weight in weights.values()])
        if self._known is None or self._known[0] != state:
            self._known = (state, _fingerprint(saved, weights))
        return self._known[1]


def _state(weight: Tensor) -> tuple[int, int]:
    """Changes with the values: a tensor counts what is done to it in place."""
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version


def _fingerprint(saved: SavedModel, weights: dict[str, Tensor]) -> str:
    words = {name: part.words for name, part in vars(saved.vocabularies).items()}
    if isinstance(saved.attribute_head, AttributeHead):
        words["attribute_head"] = (*saved.attribute_head.words, *saved.attribute_head.labels)
    options = _changed_options(saved)
    described = (saved.name, options, asdict(saved.model.sizes), words, list(weights))
    return digest([json.dumps(described, default=str), *weights.values()])


def _changed_options(saved: SavedModel) -> dict[str, object]:
    """The options that are not the defaults, so that one which a later version adds does not make
    another model of this one."""
    known = inspect.signature(find_model(saved.name)).parameters
    changed = {
        name: value
        for name, value in saved.model.config.items()
        if json.dumps(value, default=str) != json.dumps(known[name].default, default=str)
    }
    if (temperature := bank_temperature(saved.model)) not in (None, TEMPERATURE):
        changed["query_bank_temperature"] = temperature
    return changed
