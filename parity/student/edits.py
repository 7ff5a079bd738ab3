"""Every way to change a function in one spot, the likely ones first: what a slip of the pen has done, undone.

An edit is made in the syntax tree of the function, in place, and taken back. Where a mistake concerns both
axes (H and W, i and j), it is also made in all spots that read alike, and in those of the other axis.
"""

import ast
import copy
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Alternative = tuple[int, ast.AST]  # a cost and a node: small ones are tried first
COSTS = LEFT_OUT, LIKELY, POSSIBLE, RARE = range(4)  # what is too much is tried first

OPERATORS: tuple[type[ast.operator], ...] = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult,
)  # fmt: skip
COMPARISONS: tuple[type[ast.cmpop], ...] = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
LEAST = ast.UnaryOp(ast.USub(), ast.Attribute(ast.Name("np", ast.Load()), "inf", ast.Load()))
FAMILIES = (  # of functions, one of which is written where another belongs
    ("sum", "mean", "max", "min", "prod", "std", "var"),
    ("argmax", "argmin"),
    ("any", "all"),
    ("maximum", "minimum"),
    ("zeros", "ones", "empty"),
    ("zeros_like", "ones_like", "empty_like"),
    ("exp", "log", "sqrt", "square", "abs", "expm1", "log1p", "log2", "log10"),
    ("floor", "ceil"),
    ("repeat", "tile"),
    ("hstack", "vstack", "concatenate", "stack"),
)
REDUCTIONS = {"sum", "mean", "max", "min", "std", "var", "argmax", "argmin", "prod", "any", "all"}
AXES = [axes for count in (1, 2, 3) for axes in itertools.combinations(range(4), count)]
TWINS = (("i", "j"), ("h", "w"), ("top", "left"), ("bottom", "right"), ("row", "col"), ("rows", "cols"),
         ("height", "width"), ("u", "v"), ("p", "q"), ("a", "b"), ("y", "x"), ("r", "c"),
         ("kh", "kw"))  # fmt: skip


@dataclass(frozen=True)
class Spot:
    """A place in the tree: a field of a node, or an element of that field."""

    parent: ast.AST
    field: str
    index: int | None = None

    @property
    def value(self) -> Any:
        value = getattr(self.parent, self.field)
        return value if self.index is None else value[self.index]

    def put(self, node: object) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@dataclass(frozen=True)
class Edit:
    """What to put into which spots. statements: those that it changes."""

    changes: tuple[tuple[Spot, Any], ...]
    statements: tuple[ast.stmt, ...]

    @contextmanager
    def made(self) -> Iterator[None]:
        before = [spot.value for spot, _ in self.changes]
        try:
            for spot, new in self.changes:
                spot.put(placed(new, self.statements[0]))
            yield
        finally:
            for (spot, _), old in zip(self.changes, before, strict=True):
                spot.put(old)


def placed(new: Any, at: ast.stmt) -> Any:
    """With a line number for every node that has none yet."""
    for node in new if isinstance(new, list) else [new]:
        for inner in ast.walk(node) if not hasattr(node, "lineno") else ():
            if "lineno" in inner._attributes and not hasattr(inner, "lineno"):
                ast.copy_location(inner, at)
    return new


@dataclass
class Group:
    """Spots that read alike, and the statements that they stand in."""

    spots: list[Spot] = field(default_factory=list)
    statements: list[ast.stmt] = field(default_factory=list)


@dataclass(frozen=True)
class Pool:
    """What may be put in: by their text, names and attributes, and the sort that each was of when it ran."""

    atoms: dict[str, ast.expr]
    sorts: Mapping[str, str]

    def like(self, node: ast.expr) -> Iterator[Alternative]:
        """Others of the same sort; those with a similar name first."""
        here = ast.unparse(node)
        sort = self.sorts.get(here, "number" if isinstance(node, ast.Constant) else "")
        for text, atom in self.atoms.items():
            if text != here and (not sort or self.sorts.get(text, sort) == sort):
                likely = len(text) == 1 if isinstance(node, ast.Constant) else is_similar(here, text)
                other = here.isidentifier() and text.isidentifier() and here.isupper() != text.isupper()
                yield LIKELY if likely else RARE if other else POSSIBLE, atom  # N is a size, n an index

    def values(self) -> Iterator[ast.expr]:
        """Numbers and arrays, with which one can reckon."""
        for text, atom in self.atoms.items():
            if self.sorts.get(text, "number") in ("number", "ndarray"):
                yield atom

    def numbers(self) -> Iterator[ast.expr]:
        for text, atom in self.atoms.items():
            if self.sorts.get(text, "number") == "number":
                yield atom


def is_similar(one: str, other: str) -> bool:
    """H and W, i and j; KH and SH, x and x_pad, dout and dx: what is easily mistaken."""
    if other == mirrored_name(one):
        return True
    one, other = sorted((one.removeprefix("self."), other.removeprefix("self.")), key=len)
    if len(one) == len(other):
        return sum(a != b for a, b in zip(one, other, strict=True)) == 1 and len(one) > 1
    return other.startswith(f"{one}_") or other.endswith(f"_{one}") or other == f"d{one}"


class Editor:
    """The edits of one function, in statements that touch `lines`.

    owner  the class or module around it, whose attributes of self they may use
    sorts  of which sort names and attributes are, where it is known: one stands for another of its sort
    """

    def __init__(self, function: ast.FunctionDef, owner: ast.AST, lines: set[int], sorts: Mapping[str, str]):
        self.pool = Pool({ast.unparse(atom): atom for atom in atoms(function, owner)}, sorts)
        self.statements = [
            (statement, spot)
            for statement, spot in statements(function)
            if not lines.isdisjoint(range(statement.lineno, _end(statement) + 1))
        ]
        self.places = {id(statement): spot for statement, spot in statements(function)}
        self.groups: dict[str, Group] = {}
        self.spots: list[tuple[Spot, ast.stmt]] = []
        for statement, _ in self.statements:
            for spot in expressions(statement):
                self.spots.append((spot, statement))
                for key in contexts(spot, statement):
                    group = self.groups.setdefault(key, Group())
                    group.spots.append(spot)
                    if statement not in group.statements:
                        group.statements.append(statement)

    def edits(self, cost: int) -> Iterator[Edit]:
        """Those of one cost, in one spot each; then those in several."""
        for statement, spot in self.statements:
            for price, where, new in rewritten(statement, spot):
                if price == cost:
                    yield Edit(((where, new),), (statement,))
            if cost == LIKELY:
                yield from self.moved(statement, spot)
                yield from self.indexed(statement)
        for spot, statement in self.spots:
            for price, new in alternatives(spot, self.pool):
                if price == cost:
                    yield Edit(((spot, new),), (statement,))
        for spot, statement in self.spots:
            turned = contexts(spot, statement, mirrored=True)
            for key, mirrored in zip(contexts(spot, statement), turned, strict=True):
                group = self.groups[key]
                if group.spots[0] is spot:  # once, not for each of them
                    yield from self.together(group, mirrored, cost)
        if cost == POSSIBLE:
            yield from self.exchanged()

    def moved(self, statement: ast.stmt, spot: Spot) -> Iterator[Edit]:
        """A statement moved into a loop beside it, at any depth, or out of the blocks around it."""
        body: list[ast.stmt] = getattr(spot.parent, spot.field)
        at = spot.index or 0
        rest = body[:at] + body[at + 1 :]
        gone = Spot(spot.parent, spot.field), rest or [ast.Pass()]
        for beside, first in ((body[at + 1 : at + 2], True), (body[max(0, at - 1) : at], False)):
            for loop in ast.walk(beside[0]) if beside else ():
                if isinstance(loop, ast.For):
                    inside = [statement, *loop.body] if first else [*loop.body, statement]
                    yield Edit((gone, (Spot(loop, "body"), inside)), (statement,))
        outer = self.places.get(id(spot.parent))
        while outer:
            whole: list[ast.stmt] = getattr(outer.parent, outer.field)
            for place in (outer.index or 0, (outer.index or 0) + 1):
                around = [*whole[:place], statement, *whole[place:]]
                yield Edit((gone, (Spot(outer.parent, outer.field), around)), (statement,))
            outer = self.places.get(id(outer.parent))

    def indexed(self, statement: ast.stmt) -> Iterator[Edit]:
        """A part of an array assigned to, with one index more: out[n, m] = s for out[n] = s."""
        match statement:
            case ast.Assign(targets=[ast.Subscript() as target]):
                spot = Spot(statement, "targets", 0)
            case ast.AugAssign(target=ast.Subscript() as target):
                spot = Spot(statement, "target")
            case _:
                return
        elements = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
        known = set(map(ast.unparse, elements))
        for atom in self.pool.numbers():
            if isinstance(atom, ast.Name) and atom.id not in known:
                more = ast.Tuple([*elements, atom], ast.Load())
                yield Edit(((spot, ast.Subscript(target.value, more, ast.Store())),), (statement,))

    def together(self, group: Group, mirrored: str, cost: int) -> Iterator[Edit]:
        """The same edit in all spots that read alike, and in those of the other axis too."""
        other = self.groups.get(mirrored)
        other = None if other is group else other
        if len(group.spots) == 1 and not other:
            return
        for price, new in alternatives(group.spots[0], self.pool):
            if price != cost:
                continue
            here = tuple((spot, new) for spot in group.spots)
            if len(here) > 1:
                yield Edit(here, tuple(group.statements))
            if other:
                turned = mirror(new)
                there = tuple((spot, turned) for spot in other.spots)
                yield Edit(here + there, tuple(dict.fromkeys(group.statements + other.statements)))

    def exchanged(self) -> Iterator[Edit]:
        """Two names or attributes of one sort, each in place of the other throughout."""
        where: dict[str, list[tuple[Spot, ast.stmt]]] = {}
        for spot, statement in self.spots:
            if isinstance(spot.value, ast.Name | ast.Attribute):
                where.setdefault(ast.unparse(spot.value), []).append((spot, statement))
        for one, other in itertools.combinations(where, 2):
            sort = self.pool.sorts.get(one)
            if sort and sort == self.pool.sorts.get(other):
                pairs = [(spot, self.pool.atoms.get(other)) for spot, _ in where[one]]
                pairs += [(spot, self.pool.atoms.get(one)) for spot, _ in where[other]]
                if all(new for _, new in pairs):
                    both = dict.fromkeys(statement for _, statement in where[one] + where[other])
                    yield Edit(tuple(pairs), tuple(both))


def _end(statement: ast.stmt) -> int:
    """The last line of a statement; of one with a body that of its head."""
    body = getattr(statement, "body", None)
    return body[0].lineno - 1 if body else statement.end_lineno or statement.lineno


def statements(node: ast.AST) -> Iterator[tuple[ast.stmt, Spot]]:
    """All statements inside, each with its place in a body."""
    for name in ("body", "orelse", "finalbody"):
        for index, statement in enumerate(getattr(node, name, [])):
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if isinstance(statement, ast.stmt) and not is_text:
                yield statement, Spot(node, name, index)
                yield from statements(statement)


BLOCKS = ("body", "orelse", "finalbody", "handlers", "decorator_list", "annotation", "returns")


def expressions(node: ast.AST) -> Iterator[Spot]:
    """The spots of all expressions of a statement, without those of its body; what is assigned to is none."""
    for name, value in ast.iter_fields(node):
        if name in BLOCKS and not isinstance(value, ast.expr):  # an IfExp and a lambda have a body, too
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.expr):
                if not isinstance(getattr(child, "ctx", None), ast.Store) or isinstance(child, ast.Tuple):
                    yield Spot(node, name, index)
                yield from expressions(child)
            elif isinstance(child, ast.keyword | ast.comprehension | ast.arguments):
                yield from expressions(child)


def contexts(spot: Spot, statement: ast.stmt, mirrored: bool = False) -> list[str]:
    """What a spot reads like, with what stands around it; of a name also that it is one of its statement."""

    def text(node: ast.AST) -> str:
        return ast.dump(mirror(node) if mirrored else node)

    found = []
    if isinstance(spot.parent, ast.BinOp | ast.Slice | ast.Compare):
        found.append(f"{spot.field} {spot.index} {text(spot.parent)}")
    elif not isinstance(spot.value, ast.Name | ast.Constant):
        found.append(text(spot.value))
    if isinstance(spot.value, ast.Name | ast.Constant):
        found.append(f"{id(statement)} {text(spot.value)}")
    return found


class Mirror(ast.NodeTransformer):
    """H for W, i for j, [0] for [1], shape[2] for shape[3], and the other way round."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = mirrored_name(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        node.attr = mirrored_name(node.attr)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        other: dict[Any, int] = {0: 1, 1: 0, 2: 3, 3: 2}
        if isinstance(node.slice, ast.Constant) and node.slice.value in other:
            node.slice = ast.Constant(other[node.slice.value])
        return node


def mirror(node: ast.AST) -> ast.AST:
    turned: ast.AST = Mirror().visit(copy.deepcopy(node))
    return turned


def mirrored_name(name: str) -> str:
    for one, other in TWINS:
        if name in (one, other):
            return other if name == one else one
    if len(name) <= 3 or "_" in name:
        return re.sub("[HWhw](?![a-z])", lambda m: "HWhw"["WHwh".index(m[0])], name)
    return name


def atoms(function: ast.FunctionDef, owner: ast.AST) -> list[ast.expr]:
    """What stands in a function by itself: its names, x.shape[0], the attributes of self in its class."""
    found: dict[str, ast.expr] = {}
    called = {node.func for node in ast.walk(owner) if isinstance(node, ast.Call)}
    for node in ast.walk(function):
        match node:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) if name != "self":
                found.setdefault(name, ast.Name(name, ast.Load()))
    for node in ast.walk(owner):
        match node:
            case ast.Attribute(value=ast.Name("self"), attr=name) if node not in called:
                found.setdefault(
                    f"self.{name}", ast.Attribute(ast.Name("self", ast.Load()), name, ast.Load())
                )
    for node in ast.walk(function):
        match node:
            case ast.Subscript(slice=ast.Constant(), ctx=ast.Load()):
                found.setdefault(ast.unparse(node), copy.deepcopy(node))
    return list(found.values())


def alternatives(spot: Spot, pool: Pool) -> Iterator[Alternative]:
    """What may stand in a spot instead."""
    node = spot.value
    assert isinstance(node, ast.expr)
    is_function = isinstance(spot.parent, ast.Call) and spot.field == "func"
    is_base = isinstance(spot.parent, ast.Attribute)
    match node:
        case ast.Constant(value=bool() as value):
            yield LIKELY, ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            if not compared_for_equality(spot):  # x != 3 is true of any x
                yield from ((LIKELY, ast.Constant(number)) for number in numbers_near(value))
        case ast.Constant(value=str() as text):
            yield from ((POSSIBLE, ast.Constant(other)) for other in texts_near(text))
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            yield from ((LIKELY, ast.Constant(number)) for number in (value, *numbers_near(-value)))
        case ast.UnaryOp(operand=operand):
            yield LEFT_OUT, operand
        case ast.BinOp(left=left, op=op, right=right):
            yield LEFT_OUT, left
            yield LEFT_OUT, right
            if isinstance(left, ast.BinOp):
                yield LEFT_OUT, left.left
                yield LEFT_OUT, ast.BinOp(left.left, op, right)
                yield LIKELY, ast.BinOp(ast.BinOp(left.left, op, right), left.op, left.right)
            for other in OPERATORS:
                if not isinstance(op, other):
                    yield LIKELY, ast.BinOp(left, other(), right)
            yield LIKELY, ast.BinOp(right, op, left)
            yield from ((LIKELY, new) for new in rearranged(node))
            if isinstance(left, ast.BinOp):  # a + b - c, read as a + (b - c)
                yield POSSIBLE, ast.BinOp(left.left, left.op, ast.BinOp(left.right, op, right))
            if isinstance(right, ast.BinOp):
                yield POSSIBLE, ast.BinOp(ast.BinOp(left, op, right.left), right.op, right.right)
        case ast.BoolOp(values=values):
            yield from ((LEFT_OUT, value) for value in values)
            yield LIKELY, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), values)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            equal = isinstance(op, ast.Eq | ast.NotEq)  # numbers of an array are equal by chance alone
            for relation in COMPARISONS[4:] if equal else COMPARISONS[:4]:
                if not isinstance(op, relation):
                    yield LIKELY, ast.Compare(left, [relation()], [right])
            zero = isinstance(right, ast.Constant) and right.value == 0
            for relation in () if equal or zero else COMPARISONS[:4]:
                price = LIKELY if isinstance(op, relation) else POSSIBLE
                yield price, ast.Compare(left, [relation()], [ast.Constant(0)])
            yield POSSIBLE, ast.UnaryOp(ast.Not(), node)
            if isinstance(op, ast.Lt | ast.LtE):
                yield LIKELY, ast.Compare(ast.Constant(0), [ast.LtE(), op], [left, right])
        case ast.IfExp(body=body, orelse=orelse):
            yield LEFT_OUT, body
            yield LEFT_OUT, orelse
            yield LIKELY, ast.IfExp(node.test, orelse, body)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            yield from ((LIKELY, type(node)(swapped, node.ctx)) for swapped in exchanged(elements))
            if isinstance(node.ctx, ast.Load):
                for index in range(len(elements)):
                    yield POSSIBLE, type(node)(elements[:index] + elements[index + 1 :], node.ctx)
            if isinstance(spot.parent, ast.Subscript):
                for index in range(len(elements)):
                    whole = [*elements[:index], ast.Slice(), *elements[index + 1 :]]
                    yield POSSIBLE, ast.Tuple(whole, ast.Load())
                for index in range(len(elements) + 1):
                    none = [*elements[:index], ast.Constant(None), *elements[index:]]
                    yield RARE, ast.Tuple(none, ast.Load())
        case ast.Slice(lower=lower, upper=upper, step=step):
            yield from ((LIKELY, new) for new in slices_near(lower, upper, step, pool.numbers()))
            yield from ((LIKELY, new) for new in of_the_other_axis(node))
        case ast.Subscript(value=value):
            yield LEFT_OUT, value
        case ast.Attribute(value=value) if not is_function:
            yield LEFT_OUT, value
        case ast.Call():
            yield from calls_near(node)
    if is_function or isinstance(getattr(node, "ctx", None), ast.Store) or isinstance(node, ast.Slice):
        return
    if isinstance(spot.parent, ast.keyword) and spot.parent.arg == "constant_values":
        yield from ((LIKELY, new) for new in (ast.Constant(0), LEAST.operand, LEAST))
    if is_dtype(spot):
        for atom in pool.values():
            yield LIKELY, ast.Attribute(atom, "dtype", ast.Load())
    if is_axis(spot):
        yield from ((LIKELY, axes_as(axes)) for axes in AXES)
        yield from ((LIKELY, ast.Constant(axis)) for axis in (-1, -2, None))
    is_atom = isinstance(node, ast.Name | ast.Attribute | ast.Constant) or (
        isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
    )
    if is_atom and not (isinstance(node, ast.Name) and node.id in ("np", "numpy", "self")):
        is_argument = isinstance(spot.parent, ast.Call) and not isinstance(node, ast.Constant)
        if is_argument and pool.sorts.get(ast.unparse(node)) == "number":
            yield from ((POSSIBLE, ast.Constant(number)) for number in (0, 1))
        yield from pool.like(node)
        if pool.sorts.get(ast.unparse(node)) == "number":
            for atom in pool.numbers():
                cost = POSSIBLE if is_similar(ast.unparse(node), ast.unparse(atom)) else RARE
                yield cost, ast.BinOp(atom, ast.Sub(), ast.Constant(1))
    elif not is_base:
        yield from ((POSSIBLE, atom) for atom in pool.values())
    if is_base and isinstance(node, ast.Name | ast.Attribute):
        for text, atom in pool.atoms.items():
            if pool.sorts.get(text) == "ndarray" == pool.sorts.get(ast.unparse(node)):
                yield POSSIBLE, ast.BinOp(node, ast.Mult(), atom)
    is_value = spot.field == "value" and isinstance(spot.parent, ast.Assign | ast.Return | ast.AugAssign)
    if is_value:
        yield from ((LIKELY, new) for new in from_the_least(node))
    if is_value or isinstance(spot.parent, ast.BinOp | ast.Slice | ast.Call | ast.Tuple):
        is_index = isinstance(spot.parent, ast.Slice | ast.Tuple)
        is_count = is_index or (isinstance(spot.parent, ast.Call) and name_of(spot.parent) == "range")
        if is_copied(spot):
            yield POSSIBLE, ast.Call(ast.Attribute(node, "copy", ast.Load()), [], [])
            yield from ((RARE, new) for _, new in extended(node, pool, is_value, is_count))
        else:
            yield from extended(node, pool, is_value, is_count)
    if is_value and isinstance(spot.parent, ast.Assign) and isinstance(spot.parent.targets[0], ast.Subscript):
        yield from ((POSSIBLE, ast.Constant(number)) for number in (0, 1))


def is_copied(spot: Spot) -> bool:
    """Whether a statement gives something another name and does no more: x = self.cache, self.p = p."""
    if not isinstance(spot.parent, ast.Assign) or not isinstance(spot.value, ast.Name | ast.Attribute):
        return False
    return all(isinstance(target, ast.Name | ast.Attribute) for target in spot.parent.targets)


def exchanged(elements: Sequence[ast.expr]) -> Iterator[list[ast.expr]]:
    """Two of them, each in place of the other; neighbours first."""
    pairs = itertools.combinations(range(len(elements)), 2)
    for one, other in sorted(pairs, key=lambda pair: pair[1] - pair[0]):
        swapped = list(elements)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        yield swapped


def compared_for_equality(spot: Spot) -> bool:
    return isinstance(spot.parent, ast.Compare) and isinstance(spot.parent.ops[0], ast.Eq | ast.NotEq)


def rearranged(node: ast.BinOp) -> Iterator[ast.BinOp]:
    """A sum or product of three or four names with two of them exchanged: i + a * S for i * S + a."""
    leaves = [
        spot for spot in expressions(node) if isinstance(spot.value, ast.Name | ast.Attribute | ast.Constant)
    ]
    if not 3 <= len(leaves) <= 4 or any(
        isinstance(part, ast.Call | ast.Subscript) for part in ast.walk(node)
    ):
        return
    for one, other in itertools.combinations(range(len(leaves)), 2):
        new = copy.deepcopy(node)
        places = [s for s in expressions(new) if isinstance(s.value, ast.Name | ast.Attribute | ast.Constant)]
        places[one].put(leaves[other].value)
        places[other].put(leaves[one].value)
        yield new


def numbers_near(value: float) -> list[float]:
    if isinstance(value, int):
        near: tuple[float, ...] = (value - 1, value + 1, 0, 1, 2, -1, -value, 3, 0.5)
    else:
        near = (
            1 - value,
            -value,
            1.0,
            0.0,
            0.5,
            2.0,
            value / 10,
            value * 10,
            value**2,
            value**0.5 if value > 0 else 1.0,
        )
    return [number for number in dict.fromkeys(near) if number != value]


def texts_near(text: str) -> Iterator[str]:
    """For einsum: one letter replaced, two exchanged."""
    letters = sorted({c for c in text if c.isalpha()})
    if "->" not in text:
        yield from {"edge": ["constant"], "F": ["C"], "ij": ["xy"], "xy": ["ij"], "full": ["valid", "same"],
                    "same": ["valid", "full"], "valid": ["full"]}.get(text, [])  # fmt: skip
        return
    for index, old in enumerate(text):
        if old.isalpha():
            yield from (text[:index] + new + text[index + 1 :] for new in letters if new != old)
    for one, other in itertools.combinations([i for i, c in enumerate(text) if c.isalpha()], 2):
        swapped = list(text)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        yield "".join(swapped)


def slices_near(
    lower: ast.expr | None, upper: ast.expr | None, step: ast.expr | None, pool: Iterable[ast.expr]
) -> Iterator[ast.Slice]:
    yield from (
        ast.Slice(None, upper, step),
        ast.Slice(lower, None, step),
        ast.Slice(lower, upper, None),
        ast.Slice(),
    )
    yield ast.Slice(lower, upper, ast.UnaryOp(ast.USub(), ast.Constant(1)))
    for atom in pool:
        if lower is None:
            yield ast.Slice(atom, upper, step)
        if step is None:
            yield ast.Slice(lower, upper, atom)
        if upper is not None:
            yield ast.Slice(atom, ast.BinOp(atom, ast.Add(), upper), step)
        if lower is not None:
            yield ast.Slice(lower, ast.BinOp(lower, ast.Add(), atom), step)


def of_the_other_axis(node: ast.Slice) -> Iterator[ast.expr]:
    """PW : PW + H for PH : PH + H, one name at a time."""
    text = ast.unparse(node)
    for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", text)):
        other = mirrored_name(name)
        renamed, times = re.subn(rf"\b{name}\b", other, text)
        if other != name and times > 1:
            whole: Any = ast.parse(f"_[{renamed}]", mode="eval").body
            yield whole.slice


def is_axis(spot: Spot) -> bool:
    if isinstance(spot.parent, ast.keyword):
        return spot.parent.arg == "axis"
    return isinstance(spot.parent, ast.Call) and name_of(spot.parent) in REDUCTIONS and spot.field == "args"


def is_dtype(spot: Spot) -> bool:
    if isinstance(spot.parent, ast.keyword):
        return spot.parent.arg == "dtype"
    return isinstance(spot.parent, ast.Call) and name_of(spot.parent) == "astype" and spot.field == "args"


def axes_as(axes: Sequence[int]) -> ast.expr:
    return ast.Constant(axes[0]) if len(axes) == 1 else ast.Tuple([ast.Constant(a) for a in axes], ast.Load())


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def calls_near(call: ast.Call) -> Iterator[Alternative]:
    """Another function of its family, no call, its arguments in another order, an axis more or none."""
    name, function = name_of(call), call.func
    yield from ((LEFT_OUT, argument) for argument in call.args if not isinstance(argument, ast.Starred))
    if isinstance(function, ast.Attribute) and not is_numpy(function.value):
        yield LEFT_OUT, function.value
    for index in range(len(call.keywords)):
        yield LEFT_OUT, ast.Call(function, call.args, call.keywords[:index] + call.keywords[index + 1 :])
    for index in range(1, len(call.args)):
        yield POSSIBLE, ast.Call(function, call.args[:index] + call.args[index + 1 :], call.keywords)
    if name in REDUCTIONS:
        yield from ((LIKELY, new) for new in along_axes(call))
    for family in FAMILIES:
        for other in family if name in family else ():
            if other != name and isinstance(function, ast.Attribute):
                renamed = ast.Attribute(function.value, other, ast.Load())
                yield LIKELY, ast.Call(renamed, call.args, call.keywords)
            elif other != name:
                yield LIKELY, ast.Call(ast.Name(other, ast.Load()), call.args, call.keywords)
    if name in ("transpose", "reshape") and len(call.args) > 1:
        for order in itertools.permutations(call.args):
            yield LIKELY, ast.Call(function, list(order), call.keywords)
    else:
        for swapped in exchanged(call.args):
            yield LIKELY, ast.Call(function, swapped, call.keywords)
    if isinstance(function, ast.Attribute):
        yield from reordered(call, function)


def from_the_least(node: ast.expr) -> Iterator[ast.expr]:
    """Where a maximum starts at -inf and not at 0: a number, or an array of zeros."""
    match node:
        case ast.Constant(value=0 | 0.0):
            yield LEAST
        case ast.Call(
            func=ast.Attribute(value=module, attr="zeros" | "zeros_like" as name), args=[like, *more]
        ):
            full = ast.Attribute(module, name.replace("zeros", "full"), ast.Load())
            yield ast.Call(full, [like, LEAST, *more], node.keywords)


def along_axes(call: ast.Call) -> Iterator[ast.Call]:
    """A reduction over some axes, with keepdims, or both; what it has already stays."""
    given = [keyword.arg for keyword in call.keywords]
    axes = [[ast.keyword("axis", axes_as(axes))] for axes in AXES] if "axis" not in given else []
    keep = [[ast.keyword("keepdims", ast.Constant(True))]] if "keepdims" not in given else []
    both = [axis + kept for axis in axes for kept in keep]
    for more in (*axes, *keep, *both):
        yield ast.Call(call.func, call.args, [*call.keywords, *more])


def is_numpy(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


def reordered(call: ast.Call, function: ast.Attribute) -> Iterator[Alternative]:
    """a.f().g() for a.g().f(); a reshape that reads its array, or gives its result, in another order."""
    name, inner = name_of(call), function.value
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
        first = ast.Call(ast.Attribute(inner.func.value, name, ast.Load()), call.args, call.keywords)
        then = ast.Attribute(first, inner.func.attr, ast.Load())
        yield LIKELY, ast.Call(then, inner.args, inner.keywords)
    if name == "transpose" and isinstance(inner, ast.Call) and name_of(inner) == "reshape":
        now = [int(str(arg.value)) for arg in call.args if isinstance(arg, ast.Constant)]
        if len(now) == len(inner.args) == len(call.args) <= 4:
            for order in itertools.permutations(range(len(now))):
                moved = ast.Call(inner.func, [inner.args[axis] for axis in order], inner.keywords)
                yield LIKELY, transposed(moved, [order.index(axis) for axis in now])
    if name == "reshape":
        for order in orders_of(len(call.args)):
            moved = ast.Call(function, [call.args[axis] for axis in order], call.keywords)
            yield LIKELY, transposed(moved, [order.index(axis) for axis in range(len(order))])
            if len(order) == 4:
                yield POSSIBLE, transposed(call, order)
        for order in (order for axes in (2, 3, 4) for order in orders_of(axes)):
            turned = ast.Attribute(transposed(inner, order), "reshape", ast.Load())
            yield LIKELY, ast.Call(turned, call.args, call.keywords)


def orders_of(axes: int) -> list[tuple[int, ...]]:
    """Of up to four axes every other order; of more those that exchange two groups, maybe after the first."""
    own = tuple(range(axes))
    if axes <= 4:
        return [order for order in itertools.permutations(own) if order != own]
    cuts = [(head, cut) for head in (0, 1) for cut in range(head + 1, axes)]
    return [own[:head] + own[cut:] + own[head:cut] for head, cut in cuts]


def transposed(array: ast.expr, order: Sequence[int]) -> ast.Call:
    axes: list[ast.expr] = [ast.Constant(axis) for axis in order]
    return ast.Call(ast.Attribute(array, "transpose", ast.Load()), axes, [])


def extended(node: ast.expr, pool: Pool, is_value: bool, is_count: bool) -> Iterator[Alternative]:
    """An expression with something more: a factor, a term, a sign, a transposition."""
    yield POSSIBLE, ast.UnaryOp(ast.USub(), node)
    if is_count:
        yield LIKELY, ast.BinOp(node, ast.Add(), ast.Constant(1))
        yield LIKELY, ast.BinOp(node, ast.Sub(), ast.Constant(1))
    for number in (1, 2):
        for op in (ast.Add(), ast.Sub(), ast.Mult(), ast.Div(), ast.Pow()):
            if number > 1 or isinstance(op, ast.Add | ast.Sub):  # x * 1 is x
                yield POSSIBLE, ast.BinOp(node, op, ast.Constant(number))
    yield POSSIBLE, ast.BinOp(node, ast.Pow(), ast.Constant(3))
    yield POSSIBLE, ast.BinOp(ast.Constant(1), ast.Sub(), node)
    yield POSSIBLE, ast.Attribute(node, "T", ast.Load())
    for method in ("copy", "sum", "mean", "max"):
        yield POSSIBLE, ast.Call(ast.Attribute(node, method, ast.Load()), [], [])
    if is_value:
        for function in ("sqrt", "exp", "log", "square", "negative"):
            numpy = ast.Attribute(ast.Name("np", ast.Load()), function, ast.Load())
            yield POSSIBLE, ast.Call(numpy, [node], [])
        for axes in AXES:
            for keywords in ([], [ast.keyword("keepdims", ast.Constant(True))]):
                total = ast.Attribute(node, "sum", ast.Load())
                yield RARE, ast.Call(total, [], [ast.keyword("axis", axes_as(axes)), *keywords])
        yield from ((RARE, transposed(node, order)) for order in itertools.permutations(range(4)))
    if isinstance(node, ast.Name | ast.Attribute):
        for axes in ((1, -1, 1, 1), (-1, 1)):  # one number a channel, one a row
            sides: list[ast.expr] = [ast.Constant(side) for side in axes]
            yield POSSIBLE, ast.Call(ast.Attribute(node, "reshape", ast.Load()), sides, [])
    is_range = "arange(" in ast.unparse(node)
    for atom in pool.values():
        for operator in (ast.Mult(), ast.Div(), ast.Add(), ast.Sub()):
            is_factor = isinstance(operator, ast.Mult)
            likely = is_factor and (is_range or is_similar(ast.unparse(node), ast.unparse(atom)))
            yield POSSIBLE if likely else RARE, ast.BinOp(node, operator, atom)
        yield RARE, ast.BinOp(atom, ast.Sub(), node)
        if is_value:
            shape = ast.Attribute(atom, "shape", ast.Load())
            yield RARE, ast.Call(ast.Attribute(node, "reshape", ast.Load()), [shape], [])
            yield RARE, ast.Compare(node, [ast.Gt()], [atom])

    for atom in pool.numbers():
        if is_count:
            yield POSSIBLE, ast.BinOp(node, ast.Mult(), atom)
            yield POSSIBLE, ast.BinOp(node, ast.Add(), atom)
        if is_value:
            yield POSSIBLE, ast.BinOp(node, ast.Mult(), atom)
            yield POSSIBLE, ast.BinOp(node, ast.Div(), atom)
        yield RARE, ast.BinOp(node, ast.Pow(), atom)
        yield RARE, ast.BinOp(node, ast.FloorDiv(), atom)
        yield RARE, ast.BinOp(node, ast.Add(), ast.BinOp(ast.Constant(2), ast.Mult(), atom))


def rewritten(statement: ast.stmt, spot: Spot) -> Iterator[tuple[int, Spot, object]]:
    """A statement left out, exchanged with the next, or assigned otherwise."""
    body: list[ast.stmt] = getattr(spot.parent, spot.field)
    index, whole = spot.index or 0, Spot(spot.parent, spot.field)
    yield LEFT_OUT, spot, ast.Pass()
    if index + 1 < len(body):
        yield LIKELY, whole, [*body[:index], body[index + 1], statement, *body[index + 2 :]]
    first = index
    while first and isinstance(body[first - 1], ast.AugAssign):  # dx before the weights are updated
        first -= 1
    if index - first > 1:
        yield LIKELY, whole, [*body[:first], statement, *body[first:index], *body[index + 1 :]]
    if isinstance(statement, ast.Break | ast.Continue):
        yield LIKELY, spot, ast.Break() if isinstance(statement, ast.Continue) else ast.Continue()
    if isinstance(statement, ast.If):
        yield LEFT_OUT, whole, [*body[:index], *statement.body, *body[index + 1 :]]
        yield LIKELY, whole, [*body[:index], *(statement.orelse or [ast.Pass()]), *body[index + 1 :]]
        if statement.orelse:
            yield LIKELY, whole, [*body[:index], *statement.body, *statement.orelse, *body[index + 1 :]]
        yield LIKELY, spot, ast.If(ast.UnaryOp(ast.Not(), statement.test), statement.body, statement.orelse)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Name | ast.Attribute | ast.Subscript):
            for op in (ast.Add(), ast.Sub(), ast.Mult()):
                yield LIKELY, spot, ast.AugAssign(target, op, statement.value)
        if isinstance(target, ast.Name | ast.Attribute):
            filled = ast.Subscript(_loaded(target), ast.Constant(...), ast.Store())
            yield POSSIBLE, spot, ast.Assign([filled], statement.value)
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Subscript):
        whole_array: Any = copy.copy(statement.target.value)
        whole_array.ctx = ast.Store()
        yield LEFT_OUT, spot, ast.AugAssign(whole_array, statement.op, statement.value)
    if isinstance(statement, ast.AugAssign):
        yield LIKELY, spot, ast.Assign([statement.target], statement.value)
        for operator in OPERATORS:
            if not isinstance(statement.op, operator):
                yield LIKELY, spot, ast.AugAssign(statement.target, operator(), statement.value)
        loaded = _loaded(statement.target)
        yield LIKELY, spot, ast.Assign([statement.target], ast.BinOp(loaded, statement.op, statement.value))


def _loaded(target: ast.expr) -> ast.expr:
    loaded: Any = copy.copy(target)
    loaded.ctx = ast.Load()
    found: ast.expr = loaded
    return found
