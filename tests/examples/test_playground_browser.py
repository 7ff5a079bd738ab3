"""The page in a browser: every view by mouse and by keyboard alone, at three widths, light and dark.

Debian's chromium (apt-get install chromium), pip install playwright axe-playwright-python.
"""

import base64
import json
import re
import shutil

import numpy as np
import pytest

import tinycnn_numpy as tn
from examples.playground import bundle
from examples.playground.build import build, page_data
from parity.record import run_stages

playwright = pytest.importorskip(
    "playwright.sync_api", reason="the browser tests need playwright and chromium"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="the browser tests need chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
VIEWS = ("lens", "check", "break", "step", "code", "digits", "guide")
WIDTHS = (400, 800, 1400)
LAPTOPS = ((1280, 720), (1366, 768), (1024, 768))
SCHEMES = ("light", "dark")


STUDENT = """
import numpy as np
import tinycnn_numpy as tn


class MyReLU(tn.ReLU):
    def backward(self, dout):
        return dout


class TinyCNN(tn.TinyCNN):
    def __init__(self, **arguments):
        super().__init__(rng=np.random.default_rng(0), dtype=np.float64)
        self.stages["relu"] = MyReLU()
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return build(tmp_path_factory.mktemp("page"), page_data())


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox", "--disable-background-networking"]
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, path):
    """Opens the page; at the end nothing was asked of any network, and the console is clean."""
    requests, said, contexts = [], [], []

    def opened(width=1400, scheme="light", fragment="", motion="reduce", page_at=path, height=900):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion=motion
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.goto(page_at.as_uri() + fragment)
        page.wait_for_selector(".proof")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [url for url in requests if not url.startswith("file:///")] == []
    assert said == []


def focused(page):
    """(tensor, side, index) of the cell that has the focus."""
    return page.evaluate("(({ name, side, index }) => [name, side, index])(document.activeElement.at)")


def cell(page, name, index, side="value"):
    found = page.evaluate_handle(
        "([name, side, index]) => [...document.querySelectorAll('.cell')]"
        ".find(({ at }) => at && at.name === name && at.side === side && `${at.index}` === `${index}`)",
        [name, side, index],
    )
    return found.as_element()


def settle(page):
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def numpys(page):
    """Every tensor that tinycnn_numpy gives for what the page shows now, by the page's names."""
    situation = page.evaluate("playground.situation()")
    model = tn.TinyCNN(rng=np.random.default_rng(0), dtype=np.float64)
    model.load_state_dict(situation["state"])
    x, labels = np.array([situation["x"]], np.float64), np.array([situation["label"]])
    run = run_stages(model, dict(model.named_layers()), x, labels=labels, loss_fn=tn.CrossEntropyLoss())
    return {f"{stage}.{name}": array for (stage, name), array in run.arrays.items()}


def far_from_numpy(page, given=None):
    """Tensors of the page that lie more than 1e-13 of their size from NumPy's."""
    given = given or page.evaluate("playground.tensors()")
    far = []
    for name, array in numpys(page).items():
        size = max(1.0, float(np.abs(array).max()))
        if not np.abs(np.reshape(given[name], array.shape) - array).max() <= 1e-13 * size:
            far.append(name)
    return far


def test_the_page_says_that_it_equals_numpy(open_page):
    page = open_page()
    assert page.inner_text(".proof") == (
        "✓ at the start: 16 tensors equal to NumPy\N{RIGHT SINGLE QUOTATION MARK}s"
    )
    assert far_from_numpy(page) == []
    other = page.evaluate("playground.tensors()")
    other["pool.dx"][1][2][3] += 1e-9
    assert far_from_numpy(page, other) == ["pool.dx"]


def test_the_page_says_when_it_does_not(open_page, tmp_path):
    facts = page_data(with_mnist=False)
    case = facts["numpy"]["relu.dx"]
    values = np.frombuffer(base64.b64decode(case["values"])).copy()
    values[values != 0] *= 1 + 1e-13
    case["values"] = base64.b64encode(values.tobytes()).decode()
    page = open_page(page_at=build(tmp_path, facts))
    assert page.inner_text(".proof").startswith("✗ relu.dx differ")


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("value > 0 ? d : 0", "d", "relu.dx, conv.dweight, conv.dbias, conv.dx"),
        ("-logProbs[label]", "logProbs[label]", "loss.loss"),
        ("dpixels[w + j] += d", "dpixels[w + j] = d", "conv.dx"),
    ],
)
def test_the_page_finds_a_mutant_in_itself(open_page, path, tmp_path, right, wrong, said):
    text = path.read_text("utf-8")
    assert text.count(right) == 1
    (tmp_path / "mutant.html").write_text(text.replace(right, wrong), "utf-8")
    found = open_page(page_at=tmp_path / "mutant.html").inner_text(".proof")
    assert found.startswith("✗") and {*said.split(", ")} <= {*found[2:].partition(" differ")[0].split(", ")}


def test_the_page_could_not_ask_anybody(browser, path):
    context = browser.new_context()
    page, refused, answered = context.new_page(), [], []
    page.on("console", lambda message: refused.append(message.text))
    page.on("requestfinished", lambda request: answered.append(request.url))
    page.goto(path.as_uri())
    page.evaluate("fetch('https://example.org/').catch(() => {})")
    page.evaluate("document.body.append(Object.assign(new Image(), { src: 'https://example.org/a.png' }))")
    page.wait_for_timeout(300)
    context.close()
    assert len([words for words in refused if "Content Security Policy" in words]) >= 2
    assert answered == [path.as_uri()]


def test_what_is_written_in_the_lens_is_numpys(open_page):
    page = open_page()
    arrays = numpys(page)
    for name, index, tensor, gradient in (
        ("conv.out", [1, 3, 1], "conv.out", "relu.dx"),
        ("relu.out", [2, 0, 5], "relu.out", "pool.dx"),
        ("pool.out", [3, 2, 2], "pool.out", "flatten.dx"),
        ("fc.out", [1], "fc.out", "loss.dlogits"),
    ):
        cell(page, name, index).click()
        settle(page)
        said = [text.replace(MINUS, "-") for text in page.locator(".head-of-lens dd").all_inner_texts()]
        for text, array in zip(said, (arrays[tensor], arrays[gradient]), strict=True):
            assert float(text) == pytest.approx(float(array[0][tuple(index)]), rel=1e-3)


def serious(page, **options):
    """What axe calls serious or critical. It lists violations alone, for the rest takes half its time."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False, **options})
    return [
        f"{violation['id']}: {violation['nodes'][0]['html'][:160]}"
        for violation in found.response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_view_is_usable_and_axe_finds_nothing_serious(open_page, width, scheme):
    rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}  # the rest is as in the light
    page = open_page(width, scheme)
    for view in VIEWS:
        page.click(f"#tab-{view}")
        if view == "break":
            page.check("#mistake-MaskFromDout")
        if view == "guide":
            page.click("#panel-guide button")
        page.wait_for_timeout(300)
        assert page.is_visible(f"#panel-{view}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert serious(page, **rules) == [], view


@pytest.mark.parametrize("width", WIDTHS)
def test_a_students_model_has_a_view_of_its_own(open_page, tmp_path, width):
    file = tmp_path / "mine.py"
    file.write_text(STUDENT)
    page = open_page(width, page_at=build(tmp_path, page_data(model=file, with_mnist=False)))
    page.click("#tab-student")
    settle(page)
    said = page.inner_text("#panel-student")
    assert "4 of 16 tensors differ" in said and "mask-missing" in said
    assert page.locator("#panel-student tbody tr").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert serious(page) == []
    page.click("#panel-student tbody tr:nth-child(1) button")
    settle(page)
    assert page.inner_text(".head-of-lens h3").startswith("conv.out[")
    assert page.locator("#tab-digits").count() == 0  # without the weights of MNIST


def test_axe_sees_what_is_planted(open_page):
    page = open_page(scheme="dark")
    page.evaluate("document.querySelector('header').append(document.createElement('button'))")
    assert [found.split(":")[0] for found in serious(page)] == ["button-name"]
    page.evaluate("document.querySelector('.lead').style.color = '#222'")
    assert [found.split(":")[0] for found in serious(page, runOnly=["color-contrast"])] == ["color-contrast"]


def until(page, condition):
    """Playwright's own wait_for_function is refused by the page's Content Security Policy."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def tab_to(page, fits, most=60):
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(f"(({fits})(document.activeElement))"):
            return
    raise AssertionError(f"Tab never comes to {fits}")


def to_view(page, view):
    """By keyboard: to the list of ways, then along it."""
    tab_to(page, "(node) => node.role === 'tab' || node.getAttribute('role') === 'tab'")
    press(page, "Home", *["ArrowRight"] * VIEWS.index(view))
    assert page.is_visible(f"#panel-{view}")


@pytest.mark.parametrize("width", WIDTHS)
def test_numbers_are_changed_by_keyboard_alone(open_page, width):
    page = open_page(width)
    tab_to(page, "(node) => node.at?.name === 'x' && node.at.side === 'value'")
    press(page, "Home", "ArrowRight", "ArrowDown", "ArrowDown")
    assert focused(page) == ["x", "value", [0, 2, 1]]
    page.keyboard.type("1.5")
    press(page, "Enter")
    assert focused(page) == ["x", "value", [0, 2, 1]]
    assert page.evaluate("playground.situation().x[0][2][1]") == 1.5
    assert far_from_numpy(page) == []
    assert "the image, row 2, column 1: 1.5, gradient" in page.inner_text("body > [role=status]")
    press(page, "Shift+ArrowUp", "Shift+ArrowUp", "Shift+ArrowDown")
    assert page.evaluate("playground.situation().x[0][2][1]") == 1.6
    press(page, "End", "ArrowLeft")
    assert focused(page) == ["x", "value", [0, 7, 6]]
    press(page, "Control+z", "Control+z")
    assert page.evaluate("playground.situation().x[0][2][1]") != 1.6
    tab_to(page, "(node) => node.at?.name === 'conv.weight' && node.at.side === 'value'")
    press(page, "PageUp")
    assert far_from_numpy(page) == []
    press(page, "Enter")
    assert page.evaluate("document.activeElement.id") == "value"
    page.keyboard.type("nonsense")
    press(page, "Enter")
    assert "is no number" in page.inner_text(".editor .error")
    press(page, "Escape")
    assert focused(page)[0] == "conv.weight"


COUNT_SEEN = """() => {
  globalThis.seen = new Set([`${document.activeElement.at.index}`]);
  document.addEventListener("focusin", ({ target: { at } }) => at && seen.add(`${at.index}`));
}"""
ACROSS_AND_DOWN = """(grid) => {
  const boxes = [...grid.querySelectorAll(".cell")].map((cell) => cell.getBoundingClientRect());
  return ["x", "y"].map((axis) => new Set(boxes.map((box) => box[axis])).size);
}"""


@pytest.mark.parametrize("width", WIDTHS)
def test_arrows_walk_over_all_cells_of_a_tensor(open_page, width):
    page = open_page(width)
    for name, side in (("conv.out", "value"), ("fc.weight", "gradient"), ("pool.out", "value")):
        cells = page.evaluate(
            f"document.querySelectorAll('[data-name=\"{name}\"]')[0].querySelectorAll('.cell').length"
        )
        tab_to(page, f"(node) => node.at?.name === '{name}' && node.at.side === '{side}'")
        page.evaluate(COUNT_SEEN)
        press(page, "Home")
        across, down = page.evaluate(f"({ACROSS_AND_DOWN})(document.activeElement.closest('[role=grid]'))")
        for row in range(down):  # to the right end, one down, to the left end, one down
            press(page, *["ArrowLeft" if row % 2 else "ArrowRight"] * across, "ArrowDown")
        assert page.evaluate("seen.size") == cells == across * down, name


@pytest.mark.parametrize("width", WIDTHS)
def test_the_lens_lights_what_is_in_the_sum(open_page, width):
    page = open_page(width)
    cell(page, "conv.out", [2, 1, 4]).click()
    settle(page)
    lit = page.evaluate(
        "[...document.querySelectorAll('[role=gridcell].lit')].map(({ at }) => [at.name, ...at.index].join())"
    )
    kernel = {(i, j) for i in range(3) for j in range(3)}
    expected = {f"conv.weight,2,0,{i},{j}" for i, j in kernel} | {f"x,0,{1 + i},{4 + j}" for i, j in kernel}
    assert set(lit) == expected | {"conv.bias,2"}
    assert page.locator(".side.on .term").count() == 10
    page.locator(".side.on .term").first.focus()
    assert page.locator("[role=gridcell].strong").count() == 2
    press(page, "Escape")
    assert focused(page) == ["conv.out", "value", [2, 1, 4]]


def test_a_shut_relu_shows_what_it_blocks(open_page):
    page = open_page(fragment="#s=conv.out~0.0.0~gradient")
    settle(page)
    arrays = numpys(page)
    arrives = float(arrays["pool.dx"][0, 0, 0, 0])
    assert arrives != 0 == arrays["relu.dx"][0, 0, 0, 0]
    factors, product = page.locator(
        ".side.gradient .term .figure, .side.gradient .term > .factors"
    ).all_inner_texts()
    assert factors == f"pool.dx {arrives:.3g} {TIMES} 0" and product == "0"
    assert "nothing arrives" not in page.inner_text("#panel-lens")


def test_the_pools_lens_shows_the_losers(open_page):
    page = open_page(fragment="#s=pool.out~1.1.0~value")
    settle(page)
    window = numpys(page)["relu.out"][0, 1, 2:4, 0:2].ravel()
    said = page.locator(".side.value .term > .factors:first-child").all_inner_texts()
    assert said == [f"relu.out {value:.3g} {TIMES} {int(value == window.max())}" for value in window]


def marked(page, kind):
    cells = f"[...document.querySelectorAll('[role=gridcell].{kind}')]"
    return page.evaluate(f"{cells}.map(({{ at }}) => [at.name, at.side])")


def test_a_pixel_and_a_weight_frame_where_they_are_used(open_page):
    page = open_page()
    for name, index, used, count in (
        ("x", [0, 0, 0], "conv.out", 4),
        ("x", [0, 3, 3], "conv.out", 36),
        ("conv.weight", [1, 0, 1, 1], "conv.out", 36),
        ("fc.bias", [1], "fc.out", 1),
    ):
        cell(page, name, index).click()
        settle(page)
        assert marked(page, "to") == [[used, "value"]] * count


def test_the_legend_names_every_mark_of_a_cell(open_page):
    page = open_page()
    legend = page.evaluate(
        "[...document.querySelectorAll('.legend .cell')].flatMap((key) => [...key.classList])"
    )
    style = (bundle.WEB / "style.css").read_text("utf-8")
    kinds = set(re.findall(r"^\.cell\.(\w+)", style, re.MULTILINE)) - {"strong"}  # what the pointer is on
    assert kinds | {"hatched"} <= set(legend) and len(kinds) >= 6


COLOURS = """(names) => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const of = (node) => {
    context.fillStyle = getComputedStyle(node).backgroundColor;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const paper = of(document.querySelector(".legend .nil"));
  const far = (node) => Math.hypot(...of(node).map((part, i) => part - paper[i]));
  return [...document.querySelectorAll(".x.value .cell")].map(far);
}"""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_outlier_leaves_the_colours_of_the_others_visible_and_in_order(open_page, scheme):
    page = open_page(scheme=scheme, fragment="#s=x~0.0.0~value")
    page.click("[role=gridcell].chosen")
    page.keyboard.type("65")
    press(page, "Enter")
    values, colours = np.ravel(page.evaluate("playground.situation().x")), np.array(page.evaluate(COLOURS))
    assert sorted(np.abs(values))[-2:] == [1.3, 65]
    assert colours[values == 1.3].min() > 20 and (colours[values == 0] == 0).all()
    for sign in (-1, 1):
        of_size = colours[values * sign > 0][np.argsort(np.abs(values[values * sign > 0]))]
        assert (np.diff(of_size) > -1).all() and of_size[0] > 1, sign  # up to a rounded channel
    meaning = "a quarter of it is half as deep"
    assert meaning in page.inner_text(".legend")
    page.click("#tab-digits")
    assert meaning in page.inner_text(".all-maps .note")


def test_the_page_says_what_the_network_decides(open_page):
    page = open_page()

    def is_said():
        probs = numpys_probs(page)
        says = int(probs[1] > probs[0])
        label = page.evaluate("playground.situation().label")
        verdict = "right" if says == label else "wrong"
        return page.inner_text(".decision") == (
            f"says {('horizontal', 'vertical')[says]} ({probs[says]:.3g}): {verdict}"
        )

    assert is_said()
    page.select_option("#label", "0")
    settle(page)
    assert is_said() and page.inner_text(".decision").endswith("wrong")
    cell(page, "fc.bias", [0]).click()
    page.keyboard.type("2")
    press(page, "Enter")
    assert is_said() and page.inner_text(".decision").startswith("says horizontal")
    page.keyboard.type("20")
    press(page, "Enter")
    assert page.inner_text(".decision") == "says horizontal (> 0.999): right"


def numpys_probs(page):
    logits = numpys(page)["fc.out"][0]
    return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()


def test_one_number_on_all_logits_changes_nothing_behind_them(open_page):
    page = open_page(fragment="#s=fc.out~0~gradient")
    settle(page)
    before = page.evaluate("playground.tensors()")
    page.click("text=Add 1 to both logits")
    settle(page)
    after = page.evaluate("playground.tensors()")
    assert np.allclose(np.array(after["fc.out"]) - before["fc.out"], 1)
    for name in ("loss.probs", "loss.loss", "loss.dlogits", "conv.dx"):
        assert np.allclose(after[name], before[name], rtol=1e-12, atol=1e-15), name
    cell(page, "fc.bias", [0]).click()
    settle(page)
    assert not page.is_visible("text=Add 1 to both logits")


def test_tab_goes_past_the_grids_and_chooses_nothing(open_page):
    page = open_page()
    chosen = page.inner_text(".head-of-lens h3")
    tab_to(page, "(node) => node.at?.name === 'fc.weight' && node.at.side === 'gradient'")
    settle(page)
    assert page.inner_text(".head-of-lens h3") == chosen == "conv.out[1,3,1]"
    press(page, "Enter")
    assert page.inner_text(".head-of-lens h3") == "fc.weight[0,0]"
    press(page, "Escape")
    assert focused(page) == ["fc.weight", "gradient", [0, 0]]
    press(page, "ArrowRight")
    assert page.inner_text(".head-of-lens h3") == "fc.weight[0,1]"


RING = """() => {
  const style = getComputedStyle(document.activeElement);
  return [style.position, style.zIndex, style.outlineWidth];
}"""


def test_no_neighbour_covers_the_ring_of_the_focus(open_page):
    page = open_page()
    tab_to(page, "(node) => node.at?.name === 'x'")
    assert page.evaluate(RING) == ["relative", "1", "3px"]


SIDEWAYS = """() => [...document.querySelectorAll(".panel:not([hidden]), .panel:not([hidden]) *")]
  .filter((node) => node.clientWidth && node.scrollWidth > node.clientWidth + 1
    && getComputedStyle(node).display !== "inline" && !node.closest("select, input"))
  .map((node) => `${node.tagName}.${node.className}`)"""


def test_on_a_phone_nothing_is_wider_than_its_panel(open_page):
    page = open_page(400)
    for view in VIEWS:
        page.click(f"#tab-{view}")
        if view == "break":
            broken(page, "DoutReturned")
        if view == "step":
            for _ in range(3):
                page.click("text=One step")
        settle(page)
        assert page.evaluate(SIDEWAYS) == [], view


APART = """() => {
  const kinds = ".editor > :not(:empty), .editor > input, .cell-of-lens > button, .sides";
  const parts = [...document.querySelectorAll(kinds)];
  const boxes = parts.map((part) => part.getBoundingClientRect()).filter(({ width }) => width);
  const meet = (a, b) => a.x < b.right && b.x < a.right && a.y < b.bottom && b.y < a.bottom;
  return boxes.every((a) => boxes.every((b) => a === b || !meet(a, b)));
}"""


@pytest.mark.parametrize(("width", "height"), [*LAPTOPS, (800, 900), (400, 800)])
def test_a_slider_hides_nothing_and_pushes_no_row_of_the_strip(open_page, width, height):
    page, tops = open_page(width, height=height), set()
    for place in ("pool.out~1.1.0~value", "x~0.3.3~value", "fc.bias~1~value", "loss.loss~~value"):
        page.evaluate(f"location.hash = '#s={place}'")
        settle(page)
        settle(page)
        assert page.evaluate(APART), place
        tops.add(page.locator(".ways").bounding_box()["y"])
    assert len(tops) == 1


NEAREST = """() => [...document.querySelectorAll("[role=grid]")].map((grid) => {
  const boxes = [...grid.querySelectorAll(".cell")].map((cell) => cell.getBoundingClientRect());
  const far = (a, b) => (a === b ? Infinity : Math.max(Math.abs(a.x - b.x), Math.abs(a.y - b.y)));
  return Math.min(boxes[0].width + 1, ...boxes.flatMap((a) => boxes.map((b) => far(a, b))));
})"""


@pytest.mark.parametrize("width", [390, 400])
def test_on_a_phone_a_finger_meets_one_cell(open_page, width):
    page = open_page(width, height=800)
    assert min(page.evaluate(NEAREST)) >= 24
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    beyond = (
        "(node) => node.getBoundingClientRect().right > node.closest('.pass').getBoundingClientRect().right"
    )
    assert page.evaluate(f"[...document.querySelectorAll('[role=grid]')].filter({beyond}).length") == 0


@pytest.mark.parametrize(("width", "height"), [*LAPTOPS, (1400, 900)])
def test_the_page_fits_its_window_and_the_panel_covers_no_row(open_page, width, height):
    page = open_page(width, height=height)
    for view in VIEWS:
        page.click(f"#tab-{view}")
        if view == "break":
            page.check("#mistake-DoutReturned")
        settle(page)
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), view
        if view != "digits":
            assert page.evaluate(
                "document.querySelector('.strip').getBoundingClientRect().bottom"
                " <= document.querySelector('.ways').getBoundingClientRect().y"
            )
            assert page.locator("header .lead").bounding_box()["height"] < 30
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert page.evaluate(SIDEWAYS) == [], view


@pytest.mark.parametrize(("width", "height"), LAPTOPS)
def test_on_a_laptop_what_is_chosen_is_read_and_changed_without_scrolling(open_page, width, height):
    page = open_page(width, height=height)
    for name, index in (
        ("conv.out", [1, 3, 1]),
        ("x", [0, 3, 3]),
        ("conv.weight", [1, 0, 1, 1]),
        ("pool.out", [1, 1, 0]),
        ("fc.out", [1]),
        ("loss.probs", [0]),
    ):
        cell(page, name, index).click()
        settle(page)
        panel = page.locator("#panel-lens").bounding_box()
        for part in page.locator("#panel-lens :is(.total, .cell-of-lens > *)").all():
            box = part.bounding_box() or panel  # of what is hidden
            assert panel["y"] <= box["y"] and box["y"] + box["height"] <= panel["y"] + panel["height"], name


def test_a_gradient_is_followed_back_to_the_loss(open_page):
    page = open_page()
    cell(page, "conv.weight", [1, 0, 1, 1], "gradient").click()
    for name, side in (
        ("conv.out", "gradient"),
        ("relu.out", "gradient"),
        ("pool.out", "gradient"),
        ("fc.out", "gradient"),
    ):
        settle(page)
        page.locator(".side.gradient .term:not(.none)").first.focus()
        press(page, "Enter")
        assert focused(page)[:2] == [name, side]
    settle(page)
    assert page.locator(".side.gradient .term").count() in (1, 2)
    cell(page, "x", [0, 0, 0], "gradient").click()
    settle(page)
    assert "send nothing back: 3 shut by the ReLU, 1 not the largest" in page.inner_text(".side.gradient")


NOTE_PLACES = """() => {
  const head = document.querySelector(".head-of-lens");
  const pixels = () => document.querySelectorAll(".x .cell.lit").length;
  globalThis.places = [];
  new MutationObserver(() => places.push([head.querySelector("h3").textContent, pixels()]))
    .observe(head, { childList: true });
}"""


def test_a_walk_goes_from_cell_to_cell_until_it_is_stopped(open_page):
    page = open_page(fragment="#s=conv.out~0.5.4~value")
    page.evaluate(NOTE_PLACES)
    page.click("text=Walk over all cells")
    until(page, "places.length >= 3")
    walked = page.evaluate("places.slice(0, 3)")
    assert walked == [["conv.out[0,5,5]", 9], ["conv.out[1,0,0]", 9], ["conv.out[1,0,1]", 9]]
    page.click("text=Stop")
    stands = page.inner_text(".head-of-lens h3")
    page.wait_for_timeout(1200)
    assert page.inner_text(".head-of-lens h3") == stands
    page.click("text=Walk over all cells")
    cell(page, "fc.bias", [0]).click()  # another choice ends it
    page.wait_for_selector("text=Walk over all cells")
    assert page.inner_text(".head-of-lens h3") == "fc.bias[0]"


def test_a_gradient_says_whom_it_is_handed_to(open_page):
    page = open_page(fragment="#s=pool.out~1.1.0~gradient")
    settle(page)
    marked = (
        "[...document.querySelectorAll('[role=gridcell].to')]"
        ".map(({ at }) => [at.name, at.side, ...at.index].join())"
    )
    assert page.evaluate(marked) == ["relu.out,gradient,1,3,1"]
    assert numpys(page)["pool.dx"][0, 1, 3, 1] == numpys(page)["flatten.dx"][0, 1, 1, 0] != 0
    page.click(".onward button")
    settle(page)
    assert focused(page) == ["relu.out", "gradient", [1, 3, 1]]
    assert page.evaluate(marked) == ["conv.out,gradient,1,3,1"]


DEAD = "The filter is dead: no step on this image moves it."


def test_a_dead_filter_is_called_so_and_no_other(open_page):
    page = open_page(fragment="#s=conv.bias~0~value")
    for bias in ("-100", "1"):
        page.click("[role=gridcell].chosen")
        page.keyboard.type(bias)
        press(page, "Enter")
        dead = not numpys(page)["relu.out"][0, 0].any()
        assert dead == (bias == "-100") == (DEAD in page.inner_text(".side.gradient"))
    cell(page, "conv.weight", [1, 0, 0, 0], "gradient").click()
    settle(page)
    assert DEAD not in page.inner_text(".side.gradient")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_link_shows_its_cell(open_page, width):
    for place in ("x~0.0.0~value", "relu.out~3.5.5~gradient", "fc.bias~1~gradient"):
        page = open_page(width, fragment=f"#s={place}")
        settle(page)
        box, panel = (
            page.locator("[role=gridcell].chosen").bounding_box(),
            page.locator(".ways").bounding_box(),
        )
        assert box["y"] >= 0 and box["y"] + box["height"] <= panel["y"]


def test_the_next_step_is_foretold(open_page):
    page = open_page(fragment="#v=step&i=one&lr=0.01")
    settle(page)
    arrays = numpys(page)
    slope = sum(float((arrays[f"{s}.d{p}"] ** 2).sum()) for s in ("conv", "fc") for p in ("weight", "bias"))
    promised, given = re.findall(r"(?:= |by )(0\.\d+)", page.inner_text("#panel-step .outlook"))
    assert float(promised) == pytest.approx(0.01 * slope, rel=1e-3)
    loss = page.evaluate("playground.tensors()['loss.loss']")
    page.click("text=One step")
    settle(page)
    fell = loss - page.evaluate("playground.tensors()['loss.loss']")
    assert float(given) == pytest.approx(fell, rel=1e-3) and float(given) != float(promised)
    outlook, panel = (page.locator(f"#panel-step{at}").bounding_box() for at in (" .outlook", ""))
    assert outlook["y"] + outlook["height"] <= panel["y"] + panel["height"]
    for lr, verdict in (("0", "A step of 0 moves nothing."), ("10", "On one image even a very long step")):
        page.fill("#lr", lr)
        press(page, "Tab")
        assert verdict in page.inner_text("#panel-step .outlook")
    page.click("text=One step")
    settle(page)
    assert "as low as it gets" in page.inner_text("#panel-step .outlook")


FITS = "(node) => node.scrollWidth <= node.clientWidth"


def test_the_pointer_reads_a_cell(open_page):
    page = open_page()
    cell(page, "conv.out", [2, 1, 4]).hover()
    settle(page)
    out = float(numpys(page)["conv.out"][0, 2, 1, 4])

    def read():
        number, _, rest = page.inner_text(".readout").replace(MINUS, "-").partition("  ")
        assert rest == "conv.out[2,1,4]: convolution, map 2, row 1, column 4"
        assert page.evaluate(f"(({FITS})(document.querySelector('.readout')))")
        return float(number)

    assert read() == pytest.approx(out, rel=1e-3)
    page.evaluate("document.querySelector('.conv-bias .cell').focus()")  # the pointer rests
    press(page, "ArrowDown", "ArrowDown", "Shift+ArrowUp")
    assert read() == pytest.approx(out + 0.1, rel=1e-3)


NOTE_MOVES = """() => {
  const { animate } = Element.prototype;
  globalThis.moves = [];
  Element.prototype.animate = function (frames, timing) {
    const of = this.matches(".term") ? "term" : this.at?.name;
    const changes = [...new Set(frames.flatMap(Object.keys))];
    moves.push({ of, changes, ends: timing.delay + timing.duration });
    return animate.call(this, frames, timing);
  };
}"""


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_cells_fade_in_with_their_terms_unless_motion_is_unwelcome(open_page, motion):
    page = open_page(motion=motion)
    around = page.evaluate("document.body.childElementCount")
    page.evaluate(NOTE_MOVES)
    cell(page, "conv.out", [1, 3, 2]).click()
    settle(page)
    moves = page.evaluate("moves")
    if motion == "reduce":
        assert moves == []
        return
    assert {move["of"] for move in moves} == {"term", "x", "conv.weight", "conv.bias"}
    assert all(move["changes"] == ["opacity"] and move["ends"] <= 500 for move in moves)
    assert page.evaluate("document.body.childElementCount") == around  # nothing flies over other numbers


@pytest.mark.parametrize("width", WIDTHS)
def test_check_by_keyboard(open_page, width):
    page = open_page(width)
    to_view(page, "check")
    assert "178 of 178 agree" in page.inner_text("#panel-check")
    tab_to(page, "(node) => node.id === 'which'")
    press(page, "End")
    assert page.inner_text("#panel-check h3") == "fc.bias[1]"
    tab_to(page, "(node) => node.id === 'h'")
    press(page, "Home")
    assert page.inner_text("#panel-check output").startswith(f"1e{MINUS}12")
    backprop, difference = (
        float(t.replace(MINUS, "-")) for t in page.locator(".ledger .figure").all_inner_texts()
    )
    assert backprop == pytest.approx(float(numpys(page)["fc.dbias"][1]), rel=1e-8)
    plus, minus = page.locator(".ledger dd").all_inner_texts()[-2:]
    assert (float(plus) - float(minus)) / 2e-12 == pytest.approx(difference, rel=1e-3)
    shared = re.search(r"share (\d+) of about 16 digits", page.inner_text("#panel-check"))
    assert plus[: 2 + int(shared[1])] == minus[: 2 + int(shared[1])] and int(shared[1]) >= 10
    assert 0 < abs(backprop - difference) < 1e-2
    page.select_option("#which", "x~0.3.3")
    press(page, "End")
    tab_to(page, "(node) => node.id === 'h'")
    press(page, "End")
    assert "kink" in page.inner_text("#panel-check")


@pytest.mark.parametrize("width", WIDTHS)
def test_break_by_keyboard(open_page, width):
    page = open_page(width)
    to_view(page, "break")
    tab_to(page, "(node) => node.name === 'mistake'")
    press(page, "ArrowDown")
    page.wait_for_selector("#panel-break .chart")
    said = page.inner_text("#panel-break")
    assert "✗ wrong relu.dx" in said and "↳ inherited conv.dx" in said and "fc.dweight" not in said
    assert "python -m parity explain mask-missing" in said
    assert page.locator("[role=gridcell].wrong").count() > 10
    assert set(far_from_numpy(page)) == {"relu.dx", "conv.dx", "conv.dweight", "conv.dbias"}
    press(page, "ArrowUp")
    assert page.locator("[role=gridcell].wrong").count() == 0
    assert far_from_numpy(page) == []


def broken(page, mistake):
    page.evaluate("document.querySelector('#panel-break .chart')?.remove()")
    page.check(f"#mistake-{mistake}")
    page.wait_for_selector("#panel-break .chart")
    return page.inner_text("#panel-break .breaking")


def test_what_break_it_says_is_so(open_page):
    page = open_page(fragment="#v=break")
    for mistake, sentences in {
        "KernelNotRotated": [
            "✗ wrong conv.dx",
            "turned the wrong way",
            "conv.dx is the gradient of the image",
        ],
        "KernelFlipped": ["✗ wrong conv.out", "↳ inherited conv.dbias", "↳ inherited loss.loss"],
        "TiesShared": ["✗ wrong pool.dx", "in pool.dx meets a shut ReLU"],
        "GradientOfSum": ["with one image N is 1", "see nothing.", "It hardly falls"],
        "ZeroPasses": ["no number before the ReLU is exactly 0", "see nothing."],
        "LabelNotSubtracted": ["✗ wrong loss.dlogits", "↳ inherited fc.dbias", "It rises"],
        "BiasGradientLost": ["✗ wrong conv.dbias", "A loss that falls proves nothing"],
    }.items():
        said = broken(page, mistake)
        assert [words for words in sentences if words not in said] == [], mistake
        ends = re.search(r"ends at (\S+) without and (\S+) with", said)
        right, wrong = (float(end.replace(MINUS, "-")) for end in ends.groups())
        start = 0.7052
        assert ("falls proves nothing" in said) == (wrong < 0.8 * start and "It is the same" not in said)
        assert ("It is the same" not in said) or right == wrong
        assert ("It rises" in said) == (wrong > start)
    broken(page, "ZeroPasses")
    page.select_option("#preset", label="all pixels 0")
    cell(page, "conv.bias", [0]).click()
    page.keyboard.type("0")
    press(page, "Enter")
    page.click("#tab-break")
    assert "✗ wrong relu.dx" in page.inner_text("#panel-break .verdicts")  # now a number is exactly 0


@pytest.mark.parametrize("width", WIDTHS)
def test_steps_by_keyboard_are_numpys(open_page, width):
    page = open_page(width)
    before = page.evaluate("playground.situation().state")
    to_view(page, "step")
    tab_to(page, "(node) => node.id === 'lr'")
    page.keyboard.type("fast")
    press(page, "Enter")
    assert "learning rate is fast, expected a number from 0 to 100" in page.inner_text("#panel-step .error")
    press(page, "Control+a")
    page.keyboard.type("0.25")
    press(page, "Tab", "Tab")
    assert page.inner_text("#panel-step .error") == ""
    page.select_option("#images", "one")
    press(page, "Enter", "Enter", "Enter")
    situation = page.evaluate("playground.situation()")
    model, loss_fn = tn.TinyCNN(rng=np.random.default_rng(0), dtype=np.float64), tn.CrossEntropyLoss()
    model.load_state_dict(before)
    sgd = tn.SGD(model.parameters(), 0.25)
    for _ in range(3):
        tn.train_step(model, loss_fn, sgd, np.array([situation["x"]]), np.array([situation["label"]]))
    for name, array in model.state_dict().items():
        assert np.abs(np.array(situation["state"][name]) - array).max() < 1e-13
        assert np.abs(np.array(before[name]) - array).max() > 1e-4
    assert "step 3" in page.inner_text("#panel-step")
    press(page, "Tab", "Enter")  # play
    page.wait_for_selector("#panel-step [role=status]:text-matches('^step [5-9]')")
    press(page, "Enter")
    page.click("text=Undo")
    settle(page)
    assert page.evaluate("playground.situation().state") == situation["state"]
    assert "loss over 3 steps" in page.get_attribute("#panel-step .chart svg[role=img]", "aria-label")
    page.click("text=Undo")
    settle(page)
    assert "loss over 2 steps" in page.get_attribute("#panel-step .chart svg[role=img]", "aria-label")


CURVES = """() => [...document.querySelectorAll("#panel-step path.curve")].map((curve) => {
  const points = curve.getAttribute("d").split(/[ML]/).slice(1).map((point) => point.split(" ").map(Number));
  return { paler: curve.classList.contains("before"), steps: points.length - 1, points };
})"""
RATES = "() => [...document.querySelectorAll('#panel-step .rate')].map((text) => text.textContent)"


def test_the_run_before_stays_beside_the_new_one_with_its_rate(open_page):
    page = open_page(fragment="#v=step")

    def run(rate, steps):
        page.fill("#lr", str(rate))
        press(page, "Tab")
        for _ in range(steps):
            page.click("text=One step")
        settle(page)
        return [(curve["paler"], curve["steps"]) for curve in page.evaluate(CURVES)]

    assert run(0.1, 8) == [(False, 8)] and page.evaluate(RATES) == []
    page.click("text=Reset")
    settle(page)
    assert [curve["paler"] for curve in page.evaluate(CURVES)] == [True]
    assert run(0.5, 6) == [(True, 8), (False, 6)]  # from the same weights
    before, now = (curve["points"] for curve in page.evaluate(CURVES))
    assert before[0] == now[0] and now[6][1] > before[6][1]  # faster down: further below on the screen
    assert page.evaluate(RATES) == ["lr 0.1"]
    assert run(1, 3) == [(True, 6), (False, 3)]  # without Reset it goes on where the last one stood
    before, now = (curve["points"] for curve in page.evaluate(CURVES))
    assert before[-1] == now[0] and page.evaluate(RATES) == ["lr 0.5"]
    said = page.get_attribute("#panel-step .chart svg[role=img]", "aria-label")
    assert "loss over 9 steps" in said and "before, with lr 0.5" in said
    page.click("text=Clear curve")
    assert page.evaluate(CURVES) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_code_follows_the_chosen_cell(open_page, width):
    page = open_page(width)
    to_view(page, "code")
    cell(page, "relu.out", [0, 0, 0], "gradient").click()
    settle(page)
    said = page.inner_text("#panel-code")
    assert "MaxPool2D by hand, nn.MaxPool2d" in said and "winner = undecided" in said
    assert "loss.backward()" in said and "relu_out.grad" in said and "the places of the winners" in said
    assert page.evaluate("document.querySelector('#panel-code').scrollTop") == 0
    assert "winner = undecided" in page.inner_text("#panel-code td.wanted")
    cell(page, "fc.weight", [0, 0], "gradient").click()
    settle(page)
    said = page.inner_text("#panel-code")
    assert "self.dweight = dout.T @ x" in said and "dweight[m,k] = sum_n dout[n,m] * x[n,k]" in said
    assert "python -m examples.side_by_side" in said
    for name in ("conv.weight", "conv.bias"):
        cell(page, name, [0, 0, 0, 0][: 4 if name == "conv.weight" else 1], "gradient").click()
        settle(page)
        assert f"model.{name}.grad" in page.inner_text("#panel-code")
        wanted, panel, head = (
            page.locator(f"#panel-code{at}").first.bounding_box() for at in (" .wanted", "", " h3")
        )
        assert panel["y"] <= head["y"] < wanted["y"] < panel["y"] + panel["height"]


PICTURE = "document.querySelector('.slope canvas').toDataURL()"


def test_no_digit_is_certain(open_page):
    page = open_page(fragment="#v=digits")
    for digit in range(10):
        page.click(f".samples button:text-is('{digit}')")
        settle(page)
        shares = page.locator(".share").all_inner_texts()
        assert "1" not in shares
        assert page.inner_text(".bars .best .share") in page.inner_text(".verdict")
    assert "> 0.999" in shares


@pytest.mark.parametrize("width", WIDTHS)
def test_digits_are_drawn_by_mouse_and_by_keyboard(open_page, width):
    page = open_page(width)
    to_view(page, "digits")
    for digit in (0, 4, 7):
        page.click(f".samples button:text-is('{digit}')")
        settle(page)
        assert page.inner_text(".verdict").startswith(f"{digit}, with probability")
    page.click("text=Wipe")
    settle(page)
    assert page.inner_text(".verdict").startswith("Nothing is drawn yet")
    assert not page.is_visible(".slope")
    box = page.locator(".drawing").bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 230, steps=20)
    page.mouse.up()
    settle(page)
    assert page.inner_text(".verdict").startswith("1, with probability")
    assert "with the label 1" in page.inner_text(".verdict")
    shown = page.evaluate(PICTURE)
    page.select_option("#digit-label", "7")  # of an own drawing: its gradient follows
    settle(page)
    loss = float(re.search(r"loss (\S+) with the label 7", page.inner_text(".verdict"))[1])
    assert loss > 1 and page.is_visible(".slope") and page.evaluate(PICTURE) != shown
    page.focus(".drawing")
    press(page, "Delete")
    assert page.inner_text(".verdict").startswith("Nothing is drawn yet")
    press(page, *["ArrowUp"] * 24, *["ArrowDown"] * 5)
    page.keyboard.down(" ")
    press(page, *["ArrowDown"] * 17)
    page.keyboard.up(" ")
    settle(page)
    assert page.inner_text(".verdict").startswith("1, with probability")


def begin_question(page, number):
    """The guide at a question, those before it answered with their first choice or 0."""
    page.click("#tab-guide")
    page.click("#panel-guide button")
    for _ in range(number - 1):
        answer(page, 0)
        page.click("#panel-guide [role=status] button")
        settle(page)


def answer(page, given):
    """By the number of an option, or as text."""
    if page.locator("#guess").count():
        page.fill("#guess", str(given))
    else:
        page.check(f"#guess-{given}")
    page.click("text=That is my prediction")
    settle(page)


def test_a_question_that_is_open_frames_the_chosen_cell_alone(open_page):
    page = open_page()
    begin_question(page, 1)
    for number in range(1, 13):
        assert page.inner_text("#panel-guide h3") == f"{number} of 12"
        framed = page.locator("[role=gridcell]:is(.lit, .also, .to, .chosen)")
        assert framed.count() == 1 and framed.first.is_visible(), number
        page.hover("[role=gridcell][aria-label^='max pool, map 0, row 1, column 1']")
        assert framed.count() == 1
        answer(page, 0)
        assert page.locator("[role=gridcell]:is(.lit, .also, .to)").count() > 0
        page.click("#panel-guide [role=status] button")
        settle(page)


def test_the_second_question_has_one_right_answer(open_page):
    page = open_page()
    begin_question(page, 2)
    index = page.evaluate("document.querySelector('[role=gridcell].chosen').at.index")
    arrays = numpys(page)
    arrives, gets = (float(arrays[name][0][tuple(index)]) for name in ("pool.dx", "relu.dx"))
    options = [float(said.replace(MINUS, "-")) for said in page.evaluate(ANSWERS)[:2]]
    assert arrives != gets == 0 and options == [0, pytest.approx(arrives, rel=1e-2)]


@pytest.mark.parametrize(("factor", "right"), [(1.04, True), (0.96, True), (1.06, False), (0.94, False)])
def test_a_number_is_right_within_the_tolerance_that_is_told(open_page, factor, right):
    page = open_page()
    begin_question(page, 5)
    assert "5 % off is still right" in page.inner_text("#panel-guide form")
    answer(page, factor * float(numpys(page)["loss.dlogits"][0, 1]))
    assert page.inner_text("#panel-guide form [role=status]")[0] == "✗✓"[right]


def test_a_question_that_was_missed_can_be_tried_again(open_page):
    page = open_page()
    begin_question(page, 12)
    answer(page, 0)
    page.click("text=See the score")
    missed = page.locator("#panel-guide button:text-matches('^Try')").all_inner_texts()
    before = int(page.inner_text("#panel-guide h3").split()[0])
    assert "Try 7 again" in missed and len(missed) == 12 - before
    page.click("text=Try 7 again")
    assert page.inner_text("#panel-guide h3") == "7 of 12"
    answer(page, 1)
    page.click("text=See the score")
    assert int(page.inner_text("#panel-guide h3").split()[0]) == before + 1


ANSWERS = "() => [...document.querySelectorAll('#panel-guide input[type=radio]')].map((node) => node.value)"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_guide_from_beginning_to_end_by_keyboard(open_page, width):
    page = open_page(width)
    to_view(page, "guide")
    tab_to(page, "(node) => node.textContent === 'Begin'")
    press(page, "Enter")
    for step in range(12):
        assert page.inner_text("#panel-guide h3") == f"{step + 1} of 12"
        options = page.evaluate(ANSWERS)
        veiled = page.locator(".tensor.veiled").count()
        assert page.locator(".tensor.veiled .cell:visible").count() == 0 and (veiled or step in (6, 7, 9, 11))
        tab_to(page, "(node) => node.type === 'submit'")
        press(page, "Enter")  # without a prediction nothing is shown
        assert "a prediction teaches" in page.inner_text("#panel-guide .error")
        assert page.locator("#panel-guide .good:not(li), #panel-guide form .bad").count() == 0
        for _ in range(2):
            page.keyboard.press("Shift+Tab")
            if page.evaluate("document.activeElement.tagName") == "INPUT":
                break
        if options:
            press(page, " ")
        else:
            page.keyboard.type("0")
        press(page, "Enter")
        assert page.inner_text("#panel-guide form [role=status]")[0] in "✓✗"
        assert page.locator(".tensor.veiled").count() == 0
        assert page.evaluate("document.activeElement.textContent") in ("Next", "See the score")
        press(page, "Enter")
    score = int(page.inner_text("#panel-guide h3").split()[0])
    assert 0 < score < 12 and score == page.locator("#panel-guide .progress .good").count()


def test_a_question_that_was_left_is_asked_again_under_its_veil(open_page):
    page = open_page()
    page.click("#tab-guide")
    page.click("#panel-guide button")
    settle(page)
    asked = page.evaluate("[document.querySelector('[role=gridcell].chosen').at, playground.situation()]")
    page.click("#tab-lens")
    assert page.locator(".tensor.veiled").count() == 0
    cell(page, "x", [0, 0, 0]).click()
    page.keyboard.type("9")
    press(page, "Enter")
    page.click("#tab-guide")
    settle(page)
    assert page.locator(".tensor.veiled").count() == 1
    assert (
        page.evaluate("[document.querySelector('[role=gridcell].chosen').at, playground.situation()]")
        == asked
    )
    page.check("#guess-1")
    page.click("text=That is my prediction")
    page.click("#tab-check")
    page.click("#tab-guide")  # what was answered is not asked again
    settle(page)
    assert page.locator(".tensor.veiled").count() == 0 and page.is_visible("text=Next")


def test_a_link_holds_everything(open_page):
    page = open_page()
    cell(page, "conv.weight", [3, 0, 2, 2]).click()
    page.keyboard.type("-0.77")
    press(page, "Enter")
    assert page.evaluate("playground.situation().state['conv.weight'][3][0][2][2]") == -0.77
    page.click("#tab-break")
    page.check("#mistake-TiesShared")
    page.select_option("#label", "0")
    page.wait_for_timeout(600)
    fragment = page.evaluate("location.hash")
    assert len(fragment) < 2200
    other = open_page(fragment=fragment)
    assert other.evaluate("playground.situation()") == page.evaluate("playground.situation()")
    assert other.evaluate("playground.tensors()") == page.evaluate("playground.tensors()")
    assert other.is_visible("#panel-break") and other.is_checked("#mistake-TiesShared")
    for damaged in ("#v=lens&d=AAAA", "#v=nowhere", "#s=conv.out~9.9.9~value", "#h=-1", "#%%%"):
        page = open_page(fragment=damaged)
        assert "cannot be read" in page.inner_text(".notice") or damaged == "#%%%"
        assert far_from_numpy(page) == []


def test_weights_go_to_python_and_back(open_page):
    page = open_page()
    page.click("text=Weights")
    model = tn.TinyCNN(rng=np.random.default_rng(8), dtype=np.float64)
    model.load_state_dict(json.loads(page.input_value("#weights-text")))  # as the page says
    assert model.conv.weight.tolist() == page.evaluate("playground.situation().state['conv.weight']")
    model = tn.TinyCNN(rng=np.random.default_rng(8), dtype=np.float64)
    state = {name: array.tolist() for name, array in model.state_dict().items()}
    for wrong, words in (
        ("{", "no JSON"),
        (json.dumps({**state, "fc.bias": [1]}), "fc.bias has shape (1), expected (2)"),
        (json.dumps({**state, "more": 1}), "more is unexpected"),
        (json.dumps({"conv.bias": [0, 0, 0, 0]}), "conv.weight is missing"),
        (json.dumps({**state, "fc.bias": ["a", 1]}), "fc.bias holds what is no finite number"),
    ):
        page.fill("#weights-text", wrong)
        page.click("text=Use these")
        assert words in page.inner_text("dialog .error")
    page.fill("#weights-text", json.dumps(state))
    page.click("text=Use these")
    settle(page)
    assert page.evaluate("playground.situation().state") == state
    assert far_from_numpy(page) == []
    page.click("text=Reset")
    settle(page)
    assert page.evaluate("playground.situation().state") != state
    page.click("text=Undo")
    settle(page)
    assert page.evaluate("playground.situation().state") == state


def test_a_slider_moves_every_number(open_page):
    page = open_page(motion="no-preference")
    cell(page, "conv.bias", [1]).click()
    page.focus("[aria-label='value, by slider']")
    before = page.evaluate("playground.tensors()['loss.loss']")
    press(page, *["ArrowRight"] * 40)
    assert page.evaluate("playground.situation().state['conv.bias'][1]") == pytest.approx(0.38)
    assert page.evaluate("playground.tensors()['loss.loss']") != before
    assert far_from_numpy(page) == []
    page.click("text=Undo")
    settle(page)
    assert page.evaluate("playground.tensors()['loss.loss']") == before
