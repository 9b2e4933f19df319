"""Records and explanations as JSON for the page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pyg_sgm.data import ImageRecord, TextRecord
from pyg_sgm.index.rows import to_text
from pyg_sgm.models.explanation import Attention, Explanation, object_names


def record_json(image: ImageRecord) -> dict[str, Any]:
    """What a photo's graph says, without its path; names of files that are no Unicode as the index
    writes them.

    Args:
        image (ImageRecord): The graph.
    """
    return {
        "id": to_text(image.id),
        "objects": object_names(image),
        "boxes": None if image.boxes is None else image.boxes.tolist(),
        "relations": list(image.relations),
        "attributes": list(image.attributes),
        "size": image.size,
        "has_photo": image.file is not None,
    }


def explanation_json(explanation: Explanation | Attention) -> dict[str, Any]:
    """Where a score comes from, with both graphs.

    Args:
        explanation (Explanation or Attention): What the model tells.
    """
    told: dict[str, Any] = {
        "score": explanation.score,
        "image": record_json(explanation.image),
        "text": _text_json(explanation.text),
    }
    if isinstance(explanation, Attention):
        return told | {
            "kind": "attention",
            "image_nodes": [asdict(node) for node in explanation.image_nodes],
            "text_nodes": [asdict(node) for node in explanation.text_nodes],
            "weights": explanation.weights.tolist(),
            "text_weights": explanation.text_weights.tolist(),
        }
    matches = [{**asdict(m), "contribution": m.contribution} for m in explanation.matches]
    return told | {"kind": "matches", "levels": explanation.levels, "matches": matches}


def _text_json(text: TextRecord) -> dict[str, Any]:
    return {
        "caption": text.caption,
        "words": list(text.words),
        "objects": list(text.objects),
        "relations": list(text.relations),
    }
