"""The changes that scripts/mutants.py makes to a module, each in one place of its text."""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: An operator → those that it is mistaken for.
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}
#: Their text is for people or for type checkers; a frozen class is no behaviour, and the size of a cache only speed.
SKIPPED_CALLS = ("dataclass", "dataclasses.dataclass", "TypeVar", "cast", "lru_cache")


@dataclass(frozen=True)
class Mutation:
    """One change.

    Attributes:
        module: Path below the root.
        row: Line in the module, from 1.
        line: That line, without the space around it.
        start: Where the text that is replaced starts, in bytes.
        end: Where it ends.
        old: The text that is replaced.
        new: What takes its place.
        index: 0, or how often the same change was possible further left in this line.
    """

    module: str
    row: int
    line: str
    start: int
    end: int
    old: str
    new: str
    index: int = 0

    @property
    def change(self) -> str:
        """How the change is told, on one line."""
        told = f"{self.old} → {self.new or 'nothing'}"
        return " ".join(told.split()) + (f" ({self.index + 1})" if self.index else "")

    def applied(self, text: str) -> str:
        """The module with this change."""
        raw = text.encode()
        return (raw[: self.start] + self.new.encode() + raw[self.end :]).decode()

    def __str__(self) -> str:
        return f"{self.module}:{self.row}: {self.change}"


def mutations(module: str, text: str) -> list[Mutation]:
    """Every change of a module that leaves it Python, in the order of its text."""
    lines = text.splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line.encode()))
    found: list[Mutation] = []
    seen: dict[tuple[int, str, str], int] = {}
    in_order = sorted(_changes(ast.parse(text)), key=lambda change: (change[0].lineno, change[0].col_offset))
    for node, new in in_order:
        start = offsets[node.lineno - 1] + node.col_offset
        end = offsets[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        old = text.encode()[start:end].decode()
        key = (node.lineno, old, new)
        change = Mutation(module, node.lineno, lines[node.lineno - 1].strip(), start, end, old, new, seen.get(key, 0))
        seen[key] = seen.get(key, 0) + 1
        try:
            ast.parse(change.applied(text))
        except SyntaxError:
            continue
        found.append(change)
    return sorted(found, key=lambda change: (change.start, change.end, change.new))


def _changes(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Nodes, each with a text that takes its place."""
    for node in _behaviour(tree):
        for kind, change in CHANGES.items():
            if isinstance(node, kind):
                for new in change(node):
                    yield (node.test if isinstance(node, ast.If) else node), new


def _behaviour(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Nodes below this one that make a difference when they run."""
    for child in ast.iter_child_nodes(node):
        if child in _apart(node):
            continue
        if isinstance(child, ast.expr | ast.stmt):
            yield child
        yield from _behaviour(child)


def _apart(node: ast.AST) -> list[ast.AST | None]:
    """Children whose text is for people or for type checkers."""
    apart: list[ast.AST | None] = []
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        first = node.body[0]
        documents = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        apart = [first if documents else None, getattr(node, "returns", None)]
    elif isinstance(node, ast.arg | ast.AnnAssign):
        apart = [node.annotation]
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        apart = [node.test, *node.body]
    elif isinstance(node, ast.Raise | ast.JoinedStr):
        apart = list(ast.iter_child_nodes(node))
    elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in {"Literal", "Annotated"}:
        apart = [node.slice]
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in SKIPPED_CALLS:
        apart = list(ast.iter_child_nodes(node))
    return apart


def _compare(node: ast.Compare) -> Iterator[str]:
    for place, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            changed = copy.deepcopy(node)
            changed.ops[place] = other()
            yield f"({ast.unparse(changed)})"


def _arithmetic(node: ast.BinOp) -> Iterator[str]:
    if other := ARITHMETIC.get(type(node.op)):
        yield f"({ast.unparse(ast.BinOp(node.left, other(), node.right))})"


def _boolean(node: ast.BoolOp) -> Iterator[str]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield f"({ast.unparse(ast.BoolOp(other, node.values))})"


def _unary(node: ast.UnaryOp) -> Iterator[str]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield f"({ast.unparse(node.operand)})"


def _constant(node: ast.Constant) -> Iterator[str]:
    if isinstance(node.value, bool):
        yield str(not node.value)
    elif isinstance(node.value, int | float):
        yield from (f"({node.value + step!r})" for step in (1, -1))
    elif isinstance(node.value, str):
        yield repr(f"{node.value}XX")


def _return(node: ast.Return) -> Iterator[str]:
    if node.value is not None and ast.unparse(node.value) != "None":
        yield "return None"


def _statement(node: ast.Expr) -> Iterator[str]:
    if isinstance(node.value, ast.Call):
        yield "pass"


def _branches(node: ast.IfExp) -> Iterator[str]:
    yield f"({ast.unparse(ast.IfExp(node.test, node.orelse, node.body))})"


def _call(node: ast.Call) -> Iterator[str]:
    if ast.unparse(node.func) in SKIPPED_CALLS:
        return
    for place in range(len(node.keywords)):
        changed = copy.deepcopy(node)
        del changed.keywords[place]
        yield ast.unparse(changed)


def _condition(node: ast.If) -> Iterator[str]:
    test = node.test
    if ast.unparse(test) == "TYPE_CHECKING":
        return
    other_way = isinstance(test, ast.Compare) and not isinstance(test.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
    negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    if not other_way and not negated:  # those are among the changes of the condition itself
        yield f"(not ({ast.unparse(test)}))"


def _comprehension(node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Iterator[str]:
    for place, generator in enumerate(node.generators):
        if generator.ifs:
            changed = copy.deepcopy(node)
            changed.generators[place].ifs = []
            yield ast.unparse(changed)


def _name(node: ast.Name) -> Iterator[str]:
    if isinstance(node.ctx, ast.Load) and node.id in FUNCTIONS:
        yield FUNCTIONS[node.id]


def _attribute(node: ast.Attribute) -> Iterator[str]:
    if node.attr in FUNCTIONS:
        yield f"{ast.unparse(node.value)}.{FUNCTIONS[node.attr]}"


#: Kind of node → its changes.
CHANGES: dict[type[ast.AST], Callable[..., Iterator[str]]] = {
    ast.Compare: _compare,
    ast.BinOp: _arithmetic,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.Constant: _constant,
    ast.Return: _return,
    ast.Expr: _statement,
    ast.IfExp: _branches,
    ast.Call: _call,
    ast.If: _condition,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _comprehension,
    ast.Name: _name,
    ast.Attribute: _attribute,
}
