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
VIEWS = ("lens", "check", "break", "step", "code", "digits", "guide")
WIDTHS = (400, 800, 1400)
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

    def opened(width=1400, scheme="light", fragment="", motion="reduce", page_at=path):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion=motion
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
    assert page.inner_text(".proof") == "✓ 16 tensors equal to NumPy\N{RIGHT SINGLE QUOTATION MARK}s"
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
    page.click("#tab-digits")
    settle(page)
    assert "made without the weights" in page.inner_text("#panel-digits")


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
        "[...document.querySelectorAll('.stations .cell.lit')].map(({ at }) => [at.name, ...at.index].join())"
    )
    kernel = {(i, j) for i in range(3) for j in range(3)}
    expected = {f"conv.weight,2,0,{i},{j}" for i, j in kernel} | {f"x,0,{1 + i},{4 + j}" for i, j in kernel}
    assert set(lit) == expected | {"conv.bias,2"}
    assert page.locator(".side.on .term").count() == 10
    page.locator(".side.on .term").first.focus()
    assert page.locator(".stations .cell.strong").count() == 2
    press(page, "Escape")
    assert focused(page) == ["conv.out", "value", [2, 1, 4]]


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
    assert "send nothing back: 3 have a shut ReLU, 1 lost their window" in page.inner_text(".side.gradient")


COUNT_GHOSTS = """
globalThis.flown = 0;
const count = (node) => (flown += node.classList?.contains("ghost") ? 1 : 0);
new MutationObserver((all) => all.forEach((one) => one.addedNodes.forEach(count)))
  .observe(document.body, { childList: true });
"""


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
        "[...document.querySelectorAll('.stations .cell.to')]"
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
        page.click(".cell.chosen")
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
        box, panel = page.locator(".cell.chosen").bounding_box(), page.locator(".ways").bounding_box()
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


def test_the_pointer_reads_a_cell(open_page):
    page = open_page()
    cell(page, "conv.out", [2, 1, 4]).hover()
    settle(page)
    out = float(numpys(page)["conv.out"][0, 2, 1, 4])
    said = page.inner_text(".readout").replace(MINUS, "-")
    assert said.startswith("convolution, map 2, row 1, column 4: ")
    assert float(said.split(": ")[1].split(",")[0]) == pytest.approx(out, rel=1e-3)


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_numbers_fly_to_their_terms_unless_motion_is_unwelcome(open_page, motion):
    page = open_page(motion=motion)
    page.evaluate(f"() => {{ {COUNT_GHOSTS} }}")
    cell(page, "conv.out", [1, 3, 2]).click()
    if motion == "no-preference":
        until(page, "flown > 10")
    else:
        page.wait_for_timeout(300)
        assert page.evaluate("flown") == 0
    until(page, "document.querySelectorAll('.ghost').length === 0")


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
    assert page.locator(".stations .cell.wrong").count() > 10
    assert set(far_from_numpy(page)) == {"relu.dx", "conv.dx", "conv.dweight", "conv.dbias"}
    press(page, "ArrowUp")
    assert page.locator(".stations .cell.wrong").count() == 0
    assert far_from_numpy(page) == []


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


@pytest.mark.parametrize("width", WIDTHS)
def test_code_follows_the_chosen_cell(open_page, width):
    page = open_page(width)
    to_view(page, "code")
    cell(page, "relu.out", [0, 0, 0], "gradient").click()
    settle(page)
    said = page.inner_text("#panel-code")
    assert "MaxPool2D by hand, nn.MaxPool2d" in said and "winner = undecided" in said and "autograd" in said
    cell(page, "fc.weight", [0, 0], "gradient").click()
    settle(page)
    said = page.inner_text("#panel-code")
    assert "self.dweight = dout.T @ x" in said and "dweight[m,k] = sum_n dout[n,m] * x[n,k]" in said
    assert "python -m examples.side_by_side" in said
    for name in ("conv.weight", "conv.bias"):
        cell(page, name, [0, 0, 0, 0][: 4 if name == "conv.weight" else 1], "gradient").click()
        settle(page)
        wanted, panel = (page.locator(f"#panel-code{at}").first.bounding_box() for at in (" .wanted", ""))
        assert panel["y"] <= wanted["y"] and wanted["y"] + wanted["height"] <= panel["y"] + panel["height"]


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
    assert page.inner_text(".verdict") == "Nothing is drawn yet."
    box = page.locator(".drawing").bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 230, steps=20)
    page.mouse.up()
    settle(page)
    assert page.inner_text(".verdict").startswith("1, with probability")
    page.focus(".drawing")
    press(page, "Delete")
    assert page.inner_text(".verdict") == "Nothing is drawn yet."
    press(page, *["ArrowUp"] * 24, *["ArrowDown"] * 5)
    page.keyboard.down(" ")
    press(page, *["ArrowDown"] * 17)
    page.keyboard.up(" ")
    settle(page)
    assert page.inner_text(".verdict").startswith("1, with probability")


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
    asked = page.evaluate("[document.querySelector('.cell.chosen').at, playground.situation()]")
    page.click("#tab-lens")
    assert page.locator(".tensor.veiled").count() == 0
    cell(page, "x", [0, 0, 0]).click()
    page.keyboard.type("9")
    press(page, "Enter")
    page.click("#tab-guide")
    settle(page)
    assert page.locator(".tensor.veiled").count() == 1
    assert page.evaluate("[document.querySelector('.cell.chosen').at, playground.situation()]") == asked
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
