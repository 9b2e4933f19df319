"""Color words from the pixels of a region."""

import numpy as np

COLORS = (
    *("black", "gray", "white", "brown", "red", "orange"),
    *("yellow", "green", "blue", "purple", "pink"),
)
_HUES = (  # upper end in degrees, name of the full color
    *((15, "red"), (42, "orange"), (68, "yellow"), (165, "green")),
    *((255, "blue"), (290, "purple"), (335, "pink"), (361, "red")),
)
_LEAST = 0.25  # share of a color that is named
_SAMPLES = 24  # places looked at, across and down
_CENTER = 0.6  # share of a box's width and height that is looked at; the rest is often background


def color_index(pixels: np.ndarray) -> np.ndarray:
    """The color word of every pixel, an index into :data:`COLORS`.

    In terms of hue, saturation and value: dark pixels are black; those of little saturation gray
    or, if bright, white; of the others the hue decides, but a dark or dull orange is brown, and a
    pale red is pink.

    Args:
        pixels (ndarray): RGB, uint8 ``[..., 3]``.

    Example:
        >>> colors = np.array([[200, 20, 20], [90, 60, 30], [250, 250, 250]], np.uint8)
        >>> [COLORS[i] for i in color_index(colors)]
        ['red', 'brown', 'white']
    """
    red, green, blue = np.moveaxis(pixels.astype(np.float32) / 255, -1, 0)
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    saturation = chroma / np.maximum(value, 1e-6)
    safe = np.maximum(chroma, 1e-6)
    hue = np.where(
        value == red,
        (green - blue) / safe % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    ends = np.array([end for end, _ in _HUES[:-1]]) / 60
    names = np.array([COLORS.index(name) for _, name in _HUES])
    out: np.ndarray = names[np.searchsorted(ends, hue, side="right")]

    def rule(name: str, where: np.ndarray) -> None:
        out[where] = COLORS.index(name)

    warm = (hue < 42 / 60) | (hue > 345 / 60)
    rule("pink", (out == COLORS.index("red")) & (value > 0.75) & (saturation < 0.55))
    rule("brown", warm & (hue >= 8 / 60) & ((value < 0.7) | (saturation < 0.55)))
    rule("gray", saturation < 0.17)
    rule("white", (saturation < 0.17) & (value > 0.7))
    rule("black", (value < 0.2) | ((value < 0.28) & (saturation < 0.4)))
    return out


def color_shares(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Share of each color in the middle of each box.

    Args:
        image (ndarray): RGB, uint8 ``[height, width, 3]``.
        boxes (ndarray): x1, y1, x2, y2 in ``[0, 1]``, ``[num_boxes, 4]``.

    Returns:
        ``[num_boxes, len(COLORS)]`` float32, rows sum to 1.

    Example:
        >>> image = np.zeros((8, 8, 3), np.uint8)
        >>> image[:, 4:] = (0, 0, 255)
        >>> color_shares(image, np.array([[0.5, 0, 1, 1]]))[0, COLORS.index("blue")]
        np.float32(1.0)
    """
    boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    return _shares(image, boxes, _CENTER)


def color_attributes(image: np.ndarray, boxes: np.ndarray) -> list[list[tuple[str, float]]]:
    """The color word of each box, if there is one.

    The evidence for a color is its share in the middle of the box, less half its share in the
    whole image; gray, which is also the color of shade and roads, counts half. The color of the
    most evidence is named if its share is at least a quarter, which is the confidence.

    Args:
        image (ndarray): RGB, uint8 ``[height, width, 3]``.
        boxes (ndarray): x1, y1, x2, y2 in ``[0, 1]``, ``[num_boxes, 4]``.

    Returns:
        For each box (color, confidence), one or none.

    Example:
        >>> image = np.full((8, 8, 3), 255, np.uint8)
        >>> image[2:6, 2:6] = (200, 20, 20)
        >>> color_attributes(image, np.array([[0.25, 0.25, 0.75, 0.75]]))
        [[('red', 1.0)]]
    """
    share = color_shares(image, boxes)
    best = color_evidence(image, share).argmax(axis=1)
    confidence = share[np.arange(len(share)), best].tolist()
    return [
        [(COLORS[c], value)] if value >= _LEAST else []
        for c, value in zip(best, confidence, strict=True)
    ]


def color_evidence(image: np.ndarray, share: np.ndarray) -> np.ndarray:
    """What :func:`color_attributes` compares, ``[num_boxes, len(COLORS)]``.

    Args:
        image (ndarray): RGB, uint8 ``[height, width, 3]``.
        share (ndarray): See :func:`color_shares`.
    """
    whole = _shares(image, np.array([[0, 0, 1, 1]], np.float32), 1.0)
    weight = np.where(np.array(COLORS) == "gray", 0.5, 1.0)
    return (share - whole / 2) * weight


def _shares(image: np.ndarray, boxes: np.ndarray, center: float) -> np.ndarray:
    size = np.array([image.shape[1], image.shape[0]])
    place = (np.arange(_SAMPLES) + 0.5) / _SAMPLES * center + (1 - center) / 2  # in the box
    low, side = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
    at = (low + side * place[:, None]) * size  # [num_boxes, _SAMPLES, 2]
    at = np.clip(at.astype(int), 0, size - 1)
    index = color_index(image[at[:, :, None, 1], at[:, None, :, 0]]).reshape(-1, _SAMPLES**2)
    share: np.ndarray = (index[:, :, None] == np.arange(len(COLORS))).mean(1, dtype=np.float32)
    return share
