"""A window to draw a digit in with the mouse."""

import numpy as np
from matplotlib.backend_bases import Event, MouseEvent
from matplotlib.figure import Figure
from PIL import Image

from examples.experiments.predict import PictureError

SIDE, PEN = 280, 12  # pixels of the field, and from the middle of the pen to its edge: as MNIST's strokes
HELP = "left button: draw    right button: wipe    close the window: done"


class Drawing:
    """A black field on a figure that takes white strokes; `pixels` (SIDE, SIDE) bytes is what was drawn."""

    def __init__(self, figure: Figure):
        self.pixels = np.zeros((SIDE, SIDE), np.uint8)
        self.axes = figure.add_axes((0.05, 0.02, 0.9, 0.9))
        self.axes.set(xticks=[], yticks=[], title=HELP)
        self.axes.title.set_fontsize(9)
        self.shown = self.axes.imshow(self.pixels, cmap="gray", vmin=0, vmax=255)
        self.last: np.ndarray | None = None  # where the pen is, (row, column), while it is down
        for name in ("button_press_event", "motion_notify_event"):
            figure.canvas.mpl_connect(name, self.move)
        figure.canvas.mpl_connect("button_release_event", self.lift)

    def move(self, event: Event) -> None:
        assert isinstance(event, MouseEvent)
        if event.inaxes is not self.axes or event.xdata is None or event.ydata is None:
            self.last = None
            return
        here = np.array([event.ydata, event.xdata])
        if event.name == "button_press_event":
            self.last = here if event.button == 1 else None
            if event.button == 3:
                self.pixels[:] = 0
        if self.last is not None:
            self.stroke(self.last, here)
            self.last = here
        self.shown.set_data(self.pixels)
        self.axes.figure.canvas.draw_idle()

    def lift(self, event: Event) -> None:
        self.last = None

    def stroke(self, start: np.ndarray, end: np.ndarray) -> None:
        """Discs from place to place, at most a pixel apart: the mouse reports fewer."""
        row, column = np.ogrid[:SIDE, :SIDE]
        for r, c in np.linspace(start, end, 2 + int(np.hypot(*(end - start)))):
            self.pixels[(row - r) ** 2 + (column - c) ** 2 <= PEN**2] = 255


def draw() -> Image.Image:
    """Open the window, wait until it is closed, return what was drawn. Raises PictureError without one."""
    from matplotlib import pyplot

    try:
        if pyplot.get_backend().lower() == "agg":
            raise ImportError("matplotlib has no way to a screen here")
        figure = pyplot.figure("Draw a digit", figsize=(5, 5.4))
    except ImportError as error:
        raise PictureError(f"--draw needs a window ({error}): draw elsewhere, and name the file") from None
    drawing = Drawing(figure)
    pyplot.show()
    return Image.fromarray(drawing.pixels)
