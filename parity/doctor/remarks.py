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
    ),
    Page(
        "output-reused",
        kind="ReLU",
        what="Every forward writes into one array, and returns it.",
        right="out = np.maximum(x, 0)",
        wrong="""
        if "buffer" not in vars(self) or self.buffer.shape != x.shape:
            self.buffer = np.empty_like(x)
        out = np.maximum(x, 0, out=self.buffer)
        """,
        why="Whoever keeps the output of one batch, to compare it with the next, finds the next one there.",
    ),
    Page(
        "parameter-missing",
        kind="Sequential",
        what="parameters() leaves out an array that should learn.",
        right="layers = list(self.stages.values())",
        wrong="layers = list(self.stages.values())[1:]",
        why="""The optimiser sees what it is given. A layer that is missing there keeps its first weights, and
        the others make up for it: the loss falls even so.""",
    ),
    Page(
        "dtype-ignored",
        kind="Dense",
        what="The constructor's dtype has no effect.",
        right="self.weight = weight.astype(dtype)",
        wrong="self.weight = weight.astype(np.float32)",
        why="A gradient check in float64 then runs on weights that were rounded to float32.",
    ),
    Page(
        "rng-ignored",
        kind="Dense",
        what="The constructor's generator has no effect.",
        right="weight = rng.uniform(-bound, bound, (out_features, in_features))",
        wrong="weight = np.random.uniform(-bound, bound, (out_features, in_features))",
        why="No run can be repeated, and two layers that should start alike do not.",
    ),
    Page(
        "symmetric-start",
        kind="Dense",
        what="All first weights are equal.",
        right="weight = rng.uniform(-bound, bound, (out_features, in_features))",
        wrong="weight = np.zeros((out_features, in_features))",
        why="All outputs of the layer are then one number and get one gradient. They stay alike.",
    ),
    Page(
        "initial-values",
        kind="Dense",
        what="The first weights are far too large or too small, or a constant is another one.",
        right="bound = 1 / np.sqrt(in_features)",
        wrong="bound = 1.0",
        why="""With bound 1 every layer multiplies the spread of its numbers by sqrt(in_features / 3): after
        three layers the softmax is sure of a random class. More than 4 times or less than 1/4 of PyTorch's
        size is called a mistake; the schemes of Glorot, He and LeCun lie between.""",
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
        "not-an-array",
        kind="Dense",
        what="Something else than one array is returned or assigned.",
        right="return dx",
        wrong="return dx, self.dweight",
        why="""backward returns dL/dx alone, which the layer before takes as its dout. The gradients of the
        weights stay on self, where the optimiser looks for them.""",
    ),
    Page(
        "one-line",
        kind="Dense",
        what="With one change, in the line that is named, every case is right.",
        right="self.dweight = dout.T @ x",
        wrong="self.dweight = dout.T @ np.sin(x)",
        why="""Nothing is guessed: some thousand changes of the code that ran were made, one at a time. With
        this one all cases agree with PyTorch. There may be others. Ask why it helps before you make it.""",
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
