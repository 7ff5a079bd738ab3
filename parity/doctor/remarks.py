"""Pages on mistakes that a remark tells at once, without a prediction. See diagnose in diagnose.py."""

from parity.doctor.evidence import Page

PAGES = [
    Page(
        "updated-too-early",
        kind="Dense",
        what="A weight changes before all gradients are known.",
        right="self.dweight = dout.T @ x",
        wrong="""
        self.dweight = dout.T @ x
        self.weight -= 0.1 * self.dweight
        """,
        why="dx is then computed with the new weight. Weights change in step.",
    ),
    Page(
        "input-modified",
        kind="ReLU",
        what="An input is written to.",
        right="out = np.maximum(x, 0)",
        wrong="""
        x[x < 0] = 0
        out = x
        """,
        why="x belongs to the caller, and the layer before may have cached it.",
    ),
    Page(
        "widened",
        kind="ReLU",
        what="float32 becomes float64.",
        right="out = np.maximum(x, 0)",
        wrong="out = np.maximum(x, np.float64(0))",
        why="""A NumPy float64 number widens what it meets, in NumPy 2 also a float32 array. Everything behind
        it is twice as slow.""",
    ),
    Page(
        "stage-skipped",
        kind="Sequential",
        what="The model skips a stage.",
        right="for layer in self.stages.values():",
        wrong='for layer in [stage for name, stage in self.stages.items() if name != "relu"]:',
        why="A network without its ReLU is linear between the layers, and trains.",
    ),
    Page(
        "changed-in-between",
        kind="Sequential",
        what="The model changes an array between two stages.",
        right="x = layer.forward(x)",
        wrong="x = layer.forward(x) + 0.01",
        why="""Each stage must get what the one before it returned, or the gradients belong to another
        function.""",
    ),
    Page(
        "shared-arrays",
        kind="ReLU",
        what="Two objects of a class share one memory.",
        right="self.cache = x",
        wrong="ReLU.cache = x",
        why="""A mask on the class is that of the last forward of any ReLU. One ReLU alone is right; two in a
        model are not.""",
        twice=True,
    ),
    Page(
        "gradient-missing",
        kind="Dense",
        what="A gradient is never assigned, or is 0 everywhere.",
        right="self.dbias = dout.sum(axis=0)",
        wrong="dbias = dout.sum(axis=0)",
        why="Without `self.` the name is local. The parameter never learns, and the others make up for it.",
    ),
    Page(
        "no-known-cause",
        kind="ReLU",
        what="The numbers are wrong, and no known mistake explains them.",
        right="out = np.maximum(x, 0)",
        wrong="out = np.maximum(x, 0) + np.sin(x) * (x > 0)",
        why="""The place is right all the same: this tensor of this stage, from the entry that the report
        names. Look at the smallest case that fails, and compute that entry by hand.""",
    ),
]
