"""Boxes of images that are turned before they are shown."""

import numpy as np

# x1, y1, x2, y2 of the shown image among x1, y1, x2, y2 and 1 less each of them, by orientation.
_TURNS = {
    1: (0, 1, 2, 3),
    2: (6, 1, 4, 3),
    3: (6, 7, 4, 5),
    4: (0, 7, 2, 5),
    5: (1, 0, 3, 2),
    6: (7, 0, 5, 2),
    7: (7, 6, 5, 4),
    8: (1, 6, 3, 4),
}


def turned_boxes(boxes: np.ndarray, orientation: int) -> np.ndarray:
    """Boxes of stored pixels in the image as it is shown, turned and mirrored.

    Args:
        boxes (ndarray): x1, y1, x2, y2 in ``[0, 1]`` of the stored pixels, ``[num_boxes, 4]``.
        orientation (int): How the image is shown, 1 to 8 as EXIF numbers it.

    Example:
        >>> turned_boxes(np.array([[0, 0, 0.25, 0.5]]), orientation=6)  # the upper left corner
        array([[0.5 , 0.  , 1.  , 0.25]])
    """
    return np.concatenate([boxes, 1 - boxes], axis=1)[:, _TURNS[orientation]]
