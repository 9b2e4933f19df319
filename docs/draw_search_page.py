"""Draws docs/search_page.png: the page of the search service over scenes of SceneWorld.

    python docs/draw_search_page.py

SGM is trained for some minutes; scenes that it has not seen are drawn with the glyphs of Noto Color
Emoji (Debian's fonts-noto-color-emoji). Needs playwright and Chromium.
"""

import shutil
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

from pyg_sgm import SceneGraphMatcher
from pyg_sgm.data import ImageRecord
from pyg_sgm.datasets import SceneWorld
from pyg_sgm.index import SceneGraphIndex
from pyg_sgm.serve import listen, make_server

OUT = Path(__file__).with_name("search_page.png")
FONT = ImageFont.truetype("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", 109)
GLYPHS = {
    "dog": "🐕", "cat": "🐈", "horse": "🐎", "man": "👨", "woman": "👩", "boy": "👦", "girl": "👧",
    "cow": "🐄", "sheep": "🐑", "bear": "🐻", "bird": "🐦", "robot": "🤖",
    "car": "🚗", "bike": "🚲",
    "bench": "🪑", "tree": "🌳", "ball": "⚽", "box": "📦", "table": "🧰",
    "boat": "⛵", "kite": "🪁",
    "umbrella": "🌂", "fence": "🚧", "lamp": "💡",
}  # fmt: skip
COLORS = {
    "red": "#d64541", "blue": "#3b7dc4", "green": "#4f9d5b", "yellow": "#f2c945",
    "black": "#3a3a3a",
    "white": "#ffffff", "brown": "#9a6b43", "orange": "#ec8a3a",
}  # fmt: skip
SENTENCE = "a boy is chasing a bear"  # swapped, it is said of two scenes


def draw_scene(image: ImageRecord, path: Path) -> ImageRecord:
    """Draws a scene; the boxes of its record are twice as long, since glyphs of a few pixels show
    nothing."""
    size = (640, 480)
    assert image.boxes is not None
    middle, half = image.boxes.reshape(-1, 2, 2).mean(1), np.ptp(image.boxes.reshape(-1, 2, 2), 1)
    boxes = np.concatenate([middle - half, middle + half], 1).clip(0, 1)
    sky, ground = np.float32([214, 230, 240]), np.float32([226, 221, 200])
    rows = np.linspace(0, 1, size[1], dtype=np.float32)[:, None]
    shade = np.where(rows < 0.45, sky + 30 * rows, ground - 25 * (rows - 0.45))
    photo = Image.fromarray(np.repeat(shade[:, None], size[0], 1).astype(np.uint8)).convert("RGBA")
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for number in np.argsort(-areas):  # the small ones before the large ones
        label = image.objects[number]
        x1, y1, x2, y2 = (boxes[number] * (size * 2)).tolist()
        width, height = max(int(x2 - x1), 8), max(int(y2 - y1), 8)
        tile = Image.new("RGBA", (160, 160))
        draw = ImageDraw.Draw(tile)
        own = [COLORS[a] for owner, a in image.attributes if owner == number and a in COLORS]
        if own:
            draw.ellipse((6, 6, 154, 154), fill=f"{own[0]}96")
        draw.text((80, 80), GLYPHS[label], font=FONT, embedded_color=True, anchor="mm")
        photo.alpha_composite(tile.resize((width, height)), (int(x1), int(y1)))
    photo.convert("RGB").save(path)
    return replace(image, boxes=boxes, file=path)


def main() -> None:
    train, dev = SceneWorld("train", num_images=400), SceneWorld("dev", num_images=60)
    test = SceneWorld("test", num_images=300)
    matcher = SceneGraphMatcher("sgm", dim=96, hidden=96, embed=64, global_dim=96)
    matcher.fit(train, dev, epochs=10)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = [draw_scene(image, folder / f"{image.id}.png") for image in test.images]
        index = SceneGraphIndex.create(folder / "scenes.idx", matcher)
        index.add(test.replace(images=drawn))
        with listen(port=0) as sock, sync_playwright() as started:
            server = make_server(index, sock)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
            thread.start()
            browser = started.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(
                viewport={"width": 1180, "height": 780}, device_scale_factor=1.5
            )
            page.goto(f"http://127.0.0.1:{sock.getsockname()[1]}")
            page.get_by_label("Describe a photo").fill(SENTENCE)
            page.keyboard.press("Enter")
            page.locator(".card").nth(10).wait_for()
            page.get_by_role("button", name="Swap").click()
            page.locator(".move").first.wait_for()
            page.mouse.move(0, 0)
            page.evaluate("document.activeElement.blur()")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=OUT)
            browser.close()
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
