"""The page in a real browser; ``PYG_SGM_SCREENSHOTS=folder`` keeps pictures of it."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("PIL")
pytest.importorskip("fastapi")
pytest.importorskip("lancedb")
pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect, sync_playwright

from pyg_sgm.index import SceneGraphIndex
from pyg_sgm.serve.app import PAGE
from tests.helpers.service import EVIL, photo_index, running

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
SENTENCE = "a red ball on a blue box without a hat"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> SceneGraphIndex:
    return photo_index(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def address(index: SceneGraphIndex) -> Iterator[str]:
    with running(index) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """The page, opened; no request leaves the machine, nothing is complained of."""
    width, height, scheme = getattr(request, "param", (1280, 900, "light"))
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(address)
    expect(page.locator("#collection")).to_have_text("12 photos · sgm")
    yield page
    folder = os.environ.get("PYG_SGM_SCREENSHOTS")
    if folder:
        name = re.sub(r"\W+", "_", request.node.name).strip("_")
        page.screenshot(path=Path(folder) / f"{name}.png")
    context.close()
    own = urlsplit(address).netloc
    away = [url for url in asked if urlsplit(url).scheme != "blob" and urlsplit(url).netloc != own]
    assert not away
    assert [line for line in wrong if getattr(request.node, "expected", "\0") not in line] == []


def search(page: Page, sentence: str = SENTENCE) -> None:
    page.get_by_label("Describe a photo").fill(sentence)
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("photos found")


def names(page: Page) -> list[str]:
    return [card.get_attribute("title") or "" for card in page.locator(".card").all()]


def test_a_query_is_typed_and_answered(page: Page, index: SceneGraphIndex) -> None:
    expect(page.get_by_label("Describe a photo")).to_be_focused()
    search(page)
    found = index.search(SENTENCE, 24)
    assert names(page)[:3] == [hit.id for hit in found.hits[:3]]
    expect(page.get_by_role("status")).to_contain_text("12 photos found")
    certificate = f"{found.num_images} photos, " if found.certified else "not proved"
    expect(page.get_by_role("status")).to_contain_text(certificate)
    best = page.locator(".card").first
    expect(best).to_contain_text(f"{found.hits[0].score:.2f}")
    expect(best.locator("img")).to_have_js_property("complete", True)
    read = page.get_by_role("region", name="What was read")
    for name in ("object ball. Edit", "object box. Edit", "attribute red, of ball. Edit"):
        expect(read.get_by_role("button", name=name)).to_be_visible()
    expect(read.get_by_role("button", name="Without hat. Allow it again")).to_be_visible()


def test_markup_in_names_and_sentences_is_text(page: Page) -> None:
    search(page, "<img src=x onerror=alert(2)> <b>ball</b> on a box")
    assert EVIL in names(page)
    assert page.locator("[src=x], main b, [onerror]").count() == 0
    page.locator(f".card[title='{EVIL}']").click()
    expect(page.get_by_role("dialog")).to_contain_text(EVIL)
    assert page.locator("[src=x], dialog b, [onerror]").count() == 0


def test_an_explanation_by_keyboard(page: Page) -> None:
    search(page)
    page.locator(".card").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name=re.compile("^1. "))).to_be_visible()
    expect(dialog.locator("svg.photo image")).to_have_count(1)
    assert dialog.locator("svg.photo rect.strong").count() >= 1
    words = [chip.inner_text() for chip in dialog.locator(".chips .chip").all()]
    assert [re.match("[a-z]*", word)[0] for word in words] == SENTENCE.split()[:7]
    triplet = dialog.locator(".triplets .chip")
    expect(triplet).to_have_count(1)
    expect(triplet).to_contain_text("ball on box →")
    triplet.focus()
    expect(dialog.locator(".arrow")).to_have_count(1)
    expect(dialog.locator(".label").first).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("heading", name=re.compile("^2. "))).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(dialog.get_by_role("heading", name=re.compile("^1. "))).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator(".card").first).to_be_focused()


def test_a_model_without_bounds(browser: Browser, tmp_path: Path) -> None:
    index = photo_index(tmp_path, "hoad", {"dim": 8, "hidden": 8, "embed": 6})
    with running(index) as address:
        page = browser.new_page()
        page.goto(address)
        search(page)
        expect(page.get_by_role("status")).to_contain_text("not proved to be the best: 12 of 12")
        page.locator(".card").first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", name="Nodes of the text")).to_be_visible()
        assert dialog.locator(".chips .chip").count() >= 2
        page.close()


def test_photos_like_one_that_was_found(page: Page) -> None:
    search(page)
    first = names(page)[0]
    page.locator(".card").first.click()
    page.get_by_role("button", name="More like this").click()
    expect(page.locator(".like figcaption")).to_have_text(first)
    expect(page.locator("#status")).to_contain_text("11 photos found")
    page.locator(".card").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("In this photo")


def test_the_graph_is_edited(page: Page) -> None:
    search(page)
    before = names(page)
    sentence = page.get_by_label("Describe a photo")
    read = page.get_by_role("region", name="What was read")
    read.get_by_role("button", name="Swap ball and box in: ball on box").click()
    expect(sentence).to_have_value("a blue box on a red ball without hat")
    expect(page.locator("#status")).to_contain_text("moved")
    after = names(page)
    for place, card in enumerate(page.locator(".card").all()):
        was = before.index(after[place]) + 1
        said = card.get_attribute("aria-label") or ""
        assert (f"was {was}" in said) == (was != place + 1)
    expect(read.get_by_role("button", name="Swap box and ball in: box on ball")).to_be_focused()

    read.get_by_role("button", name="object ball. Edit").click()
    page.get_by_label("Name", exact=True).fill("table")
    page.keyboard.press("Enter")
    expect(sentence).to_have_value("a blue box on a red table without hat")
    read.get_by_role("button", name="+ object").click()
    page.get_by_label("Object", exact=True).fill("dog")
    page.keyboard.press("Enter")
    read.get_by_role("button", name="object dog. Edit").click()
    page.get_by_label("Relate").fill("near")
    page.locator(".edit select").select_option("box")
    page.locator(".edit", has=page.locator("select")).get_by_role("button", name="Add").click()
    expect(read.get_by_role("button", name="relation dog near box. Edit")).to_be_visible()
    read.get_by_role("button", name="object table. Edit").click()
    page.get_by_role("button", name="Exclude").click()
    expect(read.get_by_role("button", name="Without table. Allow it again")).to_be_visible()
    assert "table" not in sentence.input_value().split(" without")[0]
    read.get_by_role("button", name="Without hat. Allow it again").click()
    expect(read.get_by_role("button", name="Without hat. Allow it again")).to_have_count(0)
    read.get_by_role("button", name="object dog. Edit").click()
    page.keyboard.press("Escape")
    expect(read.get_by_role("button", name="object dog. Edit")).to_be_focused()


def test_a_photo_is_dropped(page: Page, index: SceneGraphIndex) -> None:
    record = index.record("3.png")
    assert record.file is not None
    page.get_by_label("Search by a photo").set_input_files(record.file)
    expect(page.locator(".like figcaption")).to_have_text("3.png")
    expect(page.locator("#status")).to_contain_text("12 photos found")
    assert names(page)[0] == "3.png"
    dropped = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "mine.png", {type: "image/png"}));
            return transfer;
        }""",
        list(index.record("5.png").file.read_bytes()),
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": dropped})
    expect(page.get_by_text("Drop the photo")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    expect(page.locator(".like figcaption")).to_have_text("mine.png")
    expect(page.locator(".card").first).to_have_attribute("title", "5.png")
    expect(page.get_by_text("Drop the photo")).to_be_hidden()


def test_filters_and_threshold(page: Page) -> None:
    search(page)
    page.get_by_text("Filters and threshold").click()
    page.get_by_role("button", name="Add a filter").click()
    page.get_by_label("Field").select_option("year")
    page.get_by_label("Comparison").select_option(">=")
    page.get_by_label("Value").fill("2030")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#status")).to_contain_text("2 photos found")
    expect(page.locator("#left")).to_contain_text("No longer among these")
    page.get_by_label("Field").select_option("taken")
    page.get_by_label("Comparison").select_option("until")
    page.get_by_label("Value").fill("2024-05-03")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#status")).to_contain_text("3 photos found")
    page.get_by_role("button", name="Remove this filter").click()
    expect(page.locator("#status")).to_contain_text("12 photos found")
    page.get_by_label("No score less than").fill("999")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#status")).to_contain_text("Nothing found")


def test_a_mistake_is_said(page: Page, request: pytest.FixtureRequest) -> None:
    request.node.expected = "422"  # that the browser itself complains of
    sentence = page.get_by_label("Describe a photo")
    sentence.evaluate("element => element.maxLength = 5000")
    sentence.fill("ball " * 300)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("at most 1000")
    large = {"name": "large.png", "mimeType": "image/png", "buffer": bytes(21 << 20)}
    page.get_by_label("Search by a photo").set_input_files(large)
    expect(page.get_by_role("alert")).to_contain_text("large.png is too large")


SIZES = [
    (1280, 900, "light"), (1280, 900, "dark"), (390, 844, "light"), (390, 844, "dark"),
]  # fmt: skip


@pytest.mark.parametrize("page", SIZES, indirect=True, ids=lambda size: f"{size[0]} {size[2]}")
@pytest.mark.parametrize("shown", ["sheet", "editor", "explanation"])
def test_every_width(page: Page, shown: str) -> None:
    search(page, "a small red ball in a bag is on a blue box near a green tree without a hat")
    if shown == "editor":
        page.locator(".node.object").first.click()
    if shown == "explanation":
        page.locator(".card").first.click()
        expect(page.locator("svg.photo")).to_be_visible()
    wide = "element => element.scrollWidth > element.clientWidth"
    assert not page.locator("html").evaluate(wide)
    assert not page.locator("dialog").evaluate(wide)
    unnamed = """elements => elements.filter((one) => one.checkVisibility() && !(
        one.getAttribute('aria-label') || one.innerText || one.labels?.length)).length"""
    assert page.locator("button, input, select, a").evaluate_all(unnamed) == 0
    assert page.locator("img:not([alt])").count() == 0


def test_the_page_of_the_api(page: Page) -> None:
    page.get_by_role("link", name="API").click()
    expect(page.get_by_role("heading", name="POST/api/search")).to_be_visible()
    expect(page.locator("main")).to_contain_text("No answer scores less.")


def test_the_token_opens_the_page(browser: Browser, index: SceneGraphIndex) -> None:
    with running(index, token="sesame") as address:
        page = browser.new_page()
        assert page.goto(address).status == 401
        page.goto(f"{address}/?token=sesame")
        expect(page.locator("#collection")).to_have_text("12 photos · sgm")
        assert page.url == f"{address}/"
        page.close()


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_on_its_ground(scheme: int) -> None:
    """WCAG 2.2: a contrast of 4.5."""
    rules = re.findall(r"--([\w-]+): (#[0-9a-f]{6})", (PAGE / "style.css").read_text())
    half = len(rules) // 2
    colors = dict(rules[:half] if scheme == 0 else rules[half:])

    def light(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    pairs = [(a, b) for a in ("ink", "soft", "accent", "wrong") for b in ("paper", "card", "tint")]
    for text, ground in [*pairs, ("on-accent", "accent")]:
        dark, bright = sorted((light(colors[text]), light(colors[ground])))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
