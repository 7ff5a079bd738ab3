"""Mistakes in a ReLU."""

from collections.abc import Iterator

from torch.nn import functional

from parity.doctor.evidence import Cause, Page, causes


@causes("ReLU", "out")
def out_causes() -> Iterator[Cause]:
    for code, sentence, predict in (
        ("mask-missing", "negative numbers pass", lambda e: e.x),
        (
            "mask-inverted",
            "negative numbers pass and positive ones do not",
            lambda e: e.x.clamp(max=0),
        ),
        ("absolute-value", "negative numbers come out positive", lambda e: e.x.abs()),
        ("mask-for-out", "out is 1 where x is positive", lambda e: (e.x > 0).double()),
        ("leaky", "a hundredth of each negative number passes", lambda e: functional.leaky_relu(e.x)),
    ):
        yield Cause(code, f"{sentence}: out = max(x, 0).", predict)


@causes("ReLU", "dx")
def dx_causes() -> Iterator[Cause]:
    for code, sentence, predict in (
        ("mask-missing", "dout passes also where x is not positive", lambda e: e.dout),
        ("upstream-ignored", "dx is 1 where x is positive, without dout", lambda e: (e.x > 0).double()),
        ("upstream-ignored", "dx is 1 where x is not negative, without dout", lambda e: (e.x >= 0).double()),
        ("mask-from-dout", "the sign of dout decides, not that of x", lambda e: e.dout.clamp(min=0)),
        (
            "mask-from-dout",
            "the signs of dout and x decide, not x alone",
            lambda e: e.dout.clamp(min=0) * (e.x > 0),
        ),
        ("mask-includes-zero", "dout passes where x is 0, as by >=", lambda e: e.dout * (e.x >= 0)),
        ("mask-inverted", "dout passes where x is negative", lambda e: e.dout * (e.x < 0)),
        ("mask-inverted", "dout passes where x is not positive", lambda e: e.dout * (e.x <= 0)),
        ("multiplied-by-x", "dout is multiplied by out", lambda e: e.dout * e.x.clamp(min=0)),
        ("multiplied-by-x", "dout is multiplied by x", lambda e: e.dout * e.x),
        ("sign-of-x", "dout is multiplied by the sign of x", lambda e: e.dout * e.x.sign()),
        (
            "leaky",
            "a hundredth passes where x is negative",
            lambda e: e.dout * (e.x > 0).double().clamp(min=0.01),
        ),
    ):
        yield Cause(
            code, f"{sentence}: dx = dout * [x > 0], open where x was positive and shut elsewhere.", predict
        )


PAGES = [
    Page(
        "mask-missing",
        kind="ReLU",
        what="dout passes everywhere.",
        right="dx = dout * (x > 0)",
        wrong="dx = dout",
        why="""Where x was negative, out was 0 whatever x was: the slope there is 0. A network trains even so,
        with a gradient that is not its own.""",
    ),
    Page(
        "mask-inverted",
        kind="ReLU",
        what="The gate is open where x is negative.",
        right="dx = dout * (x > 0)",
        wrong="dx = dout * (x < 0)",
        why="Every unit learns from the images on which it was silent.",
    ),
    Page(
        "mask-for-out",
        kind="ReLU",
        what="out is the mask, 1 where x is positive.",
        right="out = np.maximum(x, 0)",
        wrong="out = (x > 0).astype(x.dtype)",
        why="That is the slope of a ReLU, not its value. All sizes are lost.",
    ),
    Page(
        "leaky",
        kind="ReLU",
        what="A hundredth of each negative number passes.",
        right="out = np.maximum(x, 0)",
        wrong="out = np.where(x > 0, x, x.dtype.type(0.01) * x)",
        why="That is LeakyReLU, another layer. It trains as well, and no number agrees.",
    ),
    Page(
        "mask-from-dout",
        kind="ReLU",
        what="The sign of dout decides, not that of x.",
        right="dx = dout * (x > 0)",
        wrong="dx = dout * (dout > 0)",
        why="""Gradients that point down are lost. Guided backpropagation does this on purpose, for pictures
        only.""",
    ),
    Page(
        "mask-includes-zero",
        kind="ReLU",
        what="dout passes where x is 0.",
        right="dx = dout * (x > 0)",
        wrong="dx = dout * (x >= 0)",
        why="""At 0 a ReLU has no slope, and PyTorch takes 0. Random numbers are never 0; biases of 0 and
        padded borders are.""",
    ),
    Page(
        "multiplied-by-x",
        kind="ReLU",
        what="dout is multiplied by out instead of the slope.",
        right="dx = dout * (x > 0)",
        wrong="dx = dout * np.maximum(x, 0)",
        why="""The chain rule multiplies by the derivative. Where x is 1 the two agree, which is how a small
        test by hand passes.""",
    ),
    Page(
        "sign-of-x",
        kind="ReLU",
        what="dout is multiplied by the sign of x.",
        right="dx = dout * (x > 0)",
        wrong="dx = dout * np.sign(x)",
        why="That is the slope of |x|. Where x is negative the gradient should stop, not turn round.",
    ),
]
