"""Colour words: pixels against the definition of hue, boxes against counting."""

import colorsys

import numpy as np

from pyg_sgm.vision.colors import COLORS, color_attributes, color_index, color_shares

NAMED = {
    "black": (10, 10, 12),
    "white": (245, 240, 240),
    "gray": (120, 122, 125),
    "brown": (110, 70, 35),
    "red": (190, 20, 25),
    "orange": (250, 130, 10),
    "yellow": (250, 225, 30),
    "green": (40, 140, 50),
    "blue": (30, 70, 200),
    "purple": (130, 40, 190),
    "pink": (250, 90, 190),
}


def test_named_colors():
    pixels = np.array(list(NAMED.values()), np.uint8)
    assert [COLORS[i] for i in color_index(pixels)] == list(NAMED)
    assert sorted(NAMED) == sorted(COLORS)


def test_full_colors_follow_the_hue():
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 3), np.uint8)
    ends = {
        "red": 15, "orange": 42, "yellow": 68, "green": 165, "blue": 255, "purple": 290,
        "pink": 335,
    }  # fmt: skip
    checked = 0
    for pixel, index in zip(pixels, color_index(pixels), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        if saturation > 0.6 and value > 0.75:
            expected = next((name for name, end in ends.items() if hue * 360 < end), "red")
            assert COLORS[index] == expected
            checked += 1
    assert checked > 500


def test_the_middle_of_the_box_counts():
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, :50] = NAMED["green"]
    image[30:70, 60:140] = NAMED["red"]
    boxes = np.array([[0, 0, 0.25, 1], [0.25, 0.2, 0.75, 0.8], [0.5, 0, 0.999, 1]])
    share = color_shares(image, boxes)
    np.testing.assert_allclose(share.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(share[0, COLORS.index("green")], 1)
    np.testing.assert_allclose(share[1, COLORS.index("red")], 1)
    named = color_attributes(image, boxes)
    assert named[:2] == [[("green", 1.0)], [("red", 1.0)]]
    order = [2, 0, 1]
    assert color_attributes(image, boxes[order]) == [named[i] for i in order]


def test_what_is_everywhere_is_no_attribute_of_a_part():
    image = np.full((100, 100, 3), NAMED["green"], np.uint8)
    image[44:56, 30:70] = NAMED["white"]  # a third of the middle of the box
    ((name, confidence),) = color_attributes(image, np.array([[0.2, 0.2, 0.8, 0.8]]))[0]
    assert name == "white"
    assert abs(confidence - 1 / 3) < 0.05


def test_small_images_and_no_boxes():
    image = np.array([[[250, 225, 30]]], np.uint8)
    assert (
        color_attributes(image, np.array([[0, 0, 1, 1], [0.999, 0.5, 1, 1]]))
        == [[("yellow", 1.0)]] * 2
    )
    assert color_attributes(image, np.zeros((0, 4))) == []
