"""Print how large the rooms of the package are: files, functions, parameters, import contract, untyped mappings.

    python scripts/structure.py [FOLDER]

FOLDER is a checkout; the one of this script by default. A compass for who moves code: no test turns on it.
"""

import ast
import statistics
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Annotations that say nothing of what they hold.
UNTYPED = {"dict[str, Any]", "Mapping[str, Any]", "MutableMapping[str, Any]"}
LONG_FILE, TOO_LONG_FILE, MANY_PARAMETERS = 300, 400, 8


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many parameters, without self and cls."""
    named = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    stars = [star for star in (function.args.vararg, function.args.kwarg) if star]
    return len([one for one in named if one.arg not in {"self", "cls"}]) + len(stars)


def untyped(tree: ast.AST) -> int:
    """How many mappings from text to anything are annotated."""
    return sum(isinstance(node, ast.Subscript) and ast.unparse(node) in UNTYPED for node in ast.walk(tree))


def aliases(trees: Iterable[ast.AST]) -> Counter[str]:
    """How often each name of such a mapping is used: raw JSON, a row of the user's, keyword arguments."""
    nodes = [node for tree in trees for node in ast.walk(tree)]
    named = [node for node in nodes if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias"]
    names = {ast.unparse(node.target) for node in named if node.value and ast.unparse(node.value) in UNTYPED}
    names |= {ast.unparse(node.target) for node in named if node.value and ast.unparse(node.value) in names}
    uses = Counter(node.id for node in nodes if isinstance(node, ast.Name) and node.id in names)
    return Counter({name: count - 1 for name, count in uses.items()})  # its own definition is none


def named_uses(trees: Iterable[ast.AST]) -> str:
    found = aliases(trees)
    return f"{found.total()}: {', '.join(f'{name} {count}' for name, count in found.most_common())}"


def main(root: Path) -> None:
    files = sorted((root / "seedband").rglob("*.py"))
    sources = {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in files}
    trees = {name: ast.parse(source) for name, source in sources.items()}
    lengths = {name: source.count("\n") for name, source in sources.items()}
    spans = [
        function.end_lineno - function.lineno + 1
        for tree in trees.values()
        for function in functions(tree)
        if function.end_lineno
    ]
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    rows = [len(contract["layers"]) for contract in contracts["contracts"] if contract["type"] == "layers"]
    wide = [
        f"{name}:{function.lineno} {function.name} ({parameters(function)})"
        for name, tree in trees.items()
        if not name.startswith("seedband/cli/")
        for function in functions(tree)
        if parameters(function) > MANY_PARAMETERS
    ]
    over = {name: length for name, length in sorted(lengths.items(), key=lambda pair: -pair[1]) if length > LONG_FILE}
    print(f"source files                    {len(files)}, {sum(lengths.values())} lines")
    print(f"modules at the package's root   {len(list((root / 'seedband').glob('*.py')))}")
    print(f"rows of the import contract     {', '.join(map(str, rows))}")
    print(f"files over {TOO_LONG_FILE} lines            {sum(n > TOO_LONG_FILE for n in lengths.values())}")
    print(f"files over {LONG_FILE} lines            {len(over)}: {', '.join(f'{n} {k}' for n, k in over.items())}")
    print(f"functions                       {len(spans)}, median {statistics.median(spans):.0f} lines")
    print(f"95 % of functions are at most   {statistics.quantiles(spans, n=20)[-1]:.0f} lines")
    print(f"more than {MANY_PARAMETERS} parameters          {len(wide)}: {', '.join(wide)}")
    print(f"untyped mappings                {sum(map(untyped, trees.values()))}")
    print(f"  under a name of their own     {named_uses(trees.values())}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent))
