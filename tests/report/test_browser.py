"""The page in a real browser: mouse, keyboard, phone, dark and light."""

import itertools

import numpy as np
import pytest

from ultrabm_jax.report import make_entry, write_page

UP = {"psnr_rgb": True, "lpips_alex": False, "psnr_gtmean_llflow": True, "ssim_rgb": True, "niqe_gray": False}
COLOURS = {"input": (200, 30, 30), "ours": (30, 30, 200), "bicubic": (30, 160, 30), "gamma": (200, 160, 30)}
COLOURS["reference"] = (220, 220, 220)
SCORES = {  # image: method: protocols
    "b": {"ours": {"psnr_rgb": 21.0, "lpips_alex": 0.3}, "bicubic": {"psnr_rgb": 9.5, "lpips_alex": None}},
    "a": {"ours": {"psnr_rgb": 9.0, "lpips_alex": 0.1}, "bicubic": {"psnr_rgb": 8.0, "lpips_alex": 0.2}},
    "c": {"ours": {"psnr_rgb": float("inf"), "lpips_alex": 0.2}, "bicubic": {"psnr_rgb": 100.0, "lpips_alex": 0.1}},
}


def images():
    """Plain colours, so that a pixel of the screen says which source is seen there."""
    images = {source: np.full((48, 64, 3), colour, np.uint8) for source, colour in COLOURS.items()}
    images["input"] = images["input"][:24, :32]
    return images


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    mean = {"psnr_rgb": 15.0, "lpips_alex": 0.2}
    baselines = {"bicubic": {"psnr_rgb": 9.0, "lpips_alex": None}}
    part = {"count": 1, "mean": mean, "baselines": baselines}
    summary = {
        **{"model": "ours", "dataset": "lol", "scale": 2, "step": 10, "seconds": 1.0, "devices": ["cpu"]},
        **{**part, "count": 3, "std": {"psnr_rgb": 1.0, "lpips_alex": 0.1}},
        **{"groups": {"-2.5": part, "-5.0": part}, "config": {}, "versions": {}},
    }
    table = [(name, "-2.5", scores) for name, scores in SCORES.items()]
    rows = [make_entry(n, f"{n}.png", images(), SCORES[n], model="ours", group="-2.5") for n in ("b", "a")]
    path = tmp_path_factory.mktemp("report") / "index.html"
    log = {"loss/total": [(1, 2.0), (2, 1.0)], "loss/r": [(1, 1.0), (2, 0.5)]}
    write_page(path, summary, rows, log, higher_is_better=UP, table=table)
    return path


@pytest.fixture
def desktop(browser, page):
    browser.open(page, width=1280)
    return browser


def visible_source(browser, share):
    """The source whose colour the screen shows at this share of the first slider's width."""
    return visible_sources(browser, (share,))[0]


def visible_sources(browser, shares):
    browser.js("document.querySelector('.marks').checked = false")
    box = browser.js("document.querySelector('.compare').scrollIntoView(); " + BOX)
    screen, row = browser.screenshot(), int(box["y"] + box["height"] * 0.1)
    return [nearest(screen.getpixel((int(box["x"] + share * box["width"]), row))) for share in shares]


def nearest(pixel):
    return min(COLOURS, key=lambda source: sum(abs(a - b) for a, b in zip(pixel, COLOURS[source], strict=True)))


BOX = "document.querySelector('.compare').getBoundingClientRect().toJSON()"
FOCUS = "document.querySelector('.compare input').focus()"
VALUE = "document.querySelector('.compare input').value"


def choose(browser, selector, value):
    browser.js(
        f"(() => {{ const list = document.querySelector({selector!r}); list.value = {value!r};"
        "list.dispatchEvent(new Event('change')) })()"
    )


def column(browser, table, number):
    return browser.js(f"[...document.querySelectorAll('{table} tbody tr')].map((r) => r.cells[{number}].textContent)")


@pytest.mark.parametrize(("width", "phone"), [(1280, False), (800, False), (360, True), (320, True)])
def test_the_page_fits_the_window_without_console_messages(browser, page, width, phone):
    browser.open(page, width=width, phone=phone)
    assert browser.js("document.documentElement.scrollWidth") == width
    assert browser.js("document.querySelector('.compare').getBoundingClientRect().right") <= width
    assert browser.complaints == []


def test_the_page_requests_no_other_file(desktop, page):
    assert [url for url in desktop.requests if not url.startswith("data:")] == [page.as_uri()]
    assert desktop.js("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")


def test_the_slider_follows_the_keys(desktop):
    assert (visible_source(desktop, 0.25), visible_source(desktop, 0.75)) == ("input", "ours")
    desktop.js(FOCUS)
    desktop.key("ArrowRight")
    assert desktop.js(VALUE) == "51"
    desktop.key("End")
    assert visible_source(desktop, 0.75) == "input"
    desktop.key("Home")
    assert visible_source(desktop, 0.25) == "ours"
    text = desktop.js("document.querySelector('.compare input').getAttribute('aria-valuetext')")
    assert text == "0 % input, the rest ours"
    assert desktop.complaints == []


def test_the_slider_follows_the_pointer(desktop):
    box = desktop.js("document.querySelector('.compare').scrollIntoView(); " + BOX)
    y = box["y"] + box["height"] / 2
    desktop.drag((box["x"] + box["width"] / 2, y), (box["x"] + box["width"] / 5, y))
    assert float(desktop.js(VALUE)) == pytest.approx(20, abs=1)
    assert (visible_source(desktop, 0.1), visible_source(desktop, 0.3)) == ("input", "ours")


def test_any_two_sources_can_be_compared(desktop):
    choose(desktop, ".image select[data-side=left]", "reference")
    choose(desktop, ".image select[data-side=right]", "bicubic")
    assert (visible_source(desktop, 0.25), visible_source(desktop, 0.75)) == ("reference", "bicubic")
    shown = "[...new Set([...document.querySelectorAll('#image-1 .chart path')]"
    shown += ".filter((p) => getComputedStyle(p).display != 'none').map((p) => p.dataset.of))].filter(Boolean).sort()"
    assert desktop.js(shown) == ["bicubic", "reference"]
    choose(desktop, ".image select[data-side=right]", "reference")
    assert (visible_source(desktop, 0.25), visible_source(desktop, 0.75)) == ("reference", "reference")
    assert desktop.js("document.querySelector('#image-2 select[data-side=left]').value") == "input"


def test_the_slider_between_each_two_of_three_methods(desktop):
    box = desktop.js("document.querySelector('.compare').scrollIntoView(); " + BOX)
    y = box["y"] + box["height"] / 2
    for left, right in itertools.permutations(COLOURS, 2):
        choose(desktop, ".image select[data-side=left]", left)
        choose(desktop, ".image select[data-side=right]", right)
        for start, end in ((0.3, 0.7), (0.7, 0.3)):
            desktop.drag((box["x"] + start * box["width"], y), (box["x"] + end * box["width"], y))
            assert float(desktop.js(VALUE)) == pytest.approx(100 * end, abs=1)
            seen = visible_sources(desktop, (0.1, end - 0.1, end + 0.1, 0.9))
            assert seen == [left, left, right, right]
            text = desktop.js("document.querySelector('.compare input').getAttribute('aria-valuetext')")
            assert text.endswith(f" % {left}, the rest {right}")
    assert desktop.js("document.querySelector('#image-2 select[data-side=left]').value") == "input"
    assert desktop.complaints == []


def test_the_key_of_a_side_has_the_colour_of_its_curves(desktop):
    colour = "getComputedStyle(document.querySelector('{}')).{}"
    keys = ("#image-1 .choices .key.left", "#choices .key.left")
    for source in ("gamma", "reference", "gamma"):
        choose(desktop, "#choices select[data-side=left]", source)
        curve = desktop.js(colour.format(f'#image-1 .chart path[data-of="{source}"]', "stroke"))
        assert [desktop.js(colour.format(key, "backgroundColor")) for key in keys] == [curve, curve]


def test_one_choice_for_all_images(desktop):
    choose(desktop, "#choices select[data-side=left]", "bicubic")
    values = "[...document.querySelectorAll('.image select[data-side=left]')].map((list) => list.value)"
    assert desktop.js(values) == ["bicubic", "bicubic"]
    assert visible_source(desktop, 0.25) == "bicubic"


def test_the_table_of_images_sorts_numerically_with_missing_values_last(desktop):
    heads = "document.querySelectorAll('#all thead button')"
    assert column(desktop, "#all", 0) == ["b", "a", "c"]
    assert column(desktop, "#all", 2) == ["21.00", "9.00", "inf"]
    desktop.js(f"{heads}[2].focus()")
    desktop.key("Enter")
    assert column(desktop, "#all", 0) == ["c", "b", "a"]
    assert desktop.js("document.querySelector('#all th[aria-sort]').ariaSort") == "descending"
    desktop.key("Enter")
    assert column(desktop, "#all", 0) == ["a", "b", "c"]
    desktop.js(f"{heads}[0].click()")
    assert column(desktop, "#all", 0) == ["a", "b", "c"]
    choose(desktop, "#protocol", "lpips_alex")
    assert column(desktop, "#all", 3) == ["0.2000", "n/a", "0.1000"]
    desktop.js(f"{heads}[3].click()")
    assert column(desktop, "#all", 3) == ["0.1000", "0.2000", "n/a"]
    desktop.js(f"{heads}[3].click()")
    assert column(desktop, "#all", 3) == ["0.2000", "0.1000", "n/a"]
    assert desktop.complaints == []


def test_the_table_of_methods_sorts(desktop):
    assert column(desktop, ".sortable", 0)[:2] == ["ours", "bicubic"]
    desktop.js("document.querySelectorAll('.sortable thead button')[0].click()")
    assert column(desktop, ".sortable", 0)[:2] == ["bicubic", "ours"]
    desktop.js("document.querySelectorAll('.sortable thead button')[1].click()")
    assert column(desktop, ".sortable", 0)[:2] == ["ours", "bicubic"]


def test_dark_light_and_paper(browser, page):
    browser.open(page, width=800)
    brightness = {}
    for name, options in (
        ("light", {"features": [{"name": "prefers-color-scheme", "value": "light"}]}),
        ("dark", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}),
        ("paper", {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]}),
    ):
        browser.call("Emulation.setEmulatedMedia", **options)
        brightness[name] = sum(browser.screenshot().getpixel((2, 2)))
    browser.call("Emulation.setEmulatedMedia", media="", features=[])
    assert brightness["light"] > 700
    assert brightness["dark"] < 100
    assert brightness["paper"] == 765
