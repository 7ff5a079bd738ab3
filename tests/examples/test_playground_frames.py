"""What a frame costs while a slider is dragged, from the browser's own trace: printed, not judged.

.venv/bin/python -m pytest -n 0 -s -m slow tests/examples/test_playground_frames.py

For each slider: frames a second, and of each change of the page the milliseconds of scripting, of style and
layout, and of painting on the main thread. A path in PAGE measures another page, an older one say.
"""

import math
import os
from pathlib import Path

import pytest
from test_playground_browser import CHROMIUM, browser, open_page, path, settle  # noqa: F401  # fixtures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="the browser tests need chromium: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]

SLIDERS = ("x~0.3.2~value", "conv.weight~1.0.1.1~value", "fc.weight~1.10~value", "conv.bias~1~value")
WORK = {  # events of the trace, which contain no other of these
    "scripting": ("FireAnimationFrame", "EventDispatch", "TimerFire", "V8.GC_SCAVENGER", "MajorGC"),
    "style, layout": ("UpdateLayoutTree", "Layout"),
    "paint": ("PrePaint", "Paint", "Layerize", "Commit"),
}
MOVES = 120
COUNT = """() => {
  globalThis.frames = [];
  const count = (time) => (frames.push(time), requestAnimationFrame(count));
  count(0);
}"""


def traced(page, act):
    """Events of the browser's timeline while `act` runs."""
    session, events, ended = page.context.new_cdp_session(page), [], []
    session.on("Tracing.dataCollected", lambda data: events.extend(data["value"]))
    session.on("Tracing.tracingComplete", lambda data: ended.append(data))
    session.send("Tracing.start", {"categories": "devtools.timeline", "transferMode": "ReportEvents"})
    act()
    session.send("Tracing.end")
    while not ended:
        page.wait_for_timeout(50)
    return [event for event in events if event["ph"] == "X"]


def drag(page):
    box = page.locator("[aria-label='value, by slider']").bounding_box()
    middle, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle, y)
    page.mouse.down()
    for step in range(MOVES):
        page.mouse.move(middle + 0.45 * box["width"] * math.sin(step / 12), y)
        page.wait_for_timeout(8)
    page.mouse.up()


@pytest.mark.parametrize("slider", SLIDERS)
def test_frames_of_a_dragged_slider(open_page, path, slider):  # noqa: F811
    given = Path(os.environ["PAGE"]).resolve() if "PAGE" in os.environ else path
    page = open_page(fragment=f"#s={slider}", motion="no-preference", page_at=given)
    settle(page)
    before = page.evaluate("playground.tensors()['loss.loss']")
    page.evaluate(COUNT)
    events = traced(page, lambda: drag(page))
    times = page.evaluate("frames.slice(1)")
    rate = 1000 * (len(times) - 1) / (times[-1] - times[0])
    changes = sum(event["name"] == "Layout" for event in events)
    cost = {
        kind: sum(event["dur"] for event in events if event["name"] in names) / 1000 / changes
        for kind, names in WORK.items()
    }
    print(f"{slider}: {rate:.1f} frames/s; ms a change:", {kind: round(ms, 2) for kind, ms in cost.items()})
    assert changes > MOVES / 4 and min(cost.values()) > 0
    assert page.evaluate("playground.tensors()['loss.loss']") != before
