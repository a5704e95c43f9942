"""The source files of i2i and its plugins as syntax trees, and which file imports which."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from helpers.paths import ROOT


@dataclass(frozen=True)
class Source:
    """A Python file.

    Attributes:
        path: relative to the folder that was read.
        module: the name under which it is imported; a stub has that of the module that it describes.
        text: its content.
    """

    path: Path
    module: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree."""
        return list(ast.walk(self.tree))

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def room(self) -> str:
        """The part of the house that it belongs to: ``i2i/data``, ``i2i/files.py`` or ``plugins/i2i_pix2pix``."""
        return "/".join(self.path.parts[:2])


@cache
def sources(root: Path = ROOT, packages: tuple[str, ...] = ("i2i", "plugins/i2i_*")) -> tuple[Source, ...]:
    """Every ``.py`` and ``.pyi`` file of the packages below a folder."""
    found = []
    for package in (folder for pattern in packages for folder in sorted(root.glob(pattern))):
        for path in sorted([*package.rglob("*.py"), *package.rglob("*.pyi")]):
            parts = path.relative_to(package.parent).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Source(path.relative_to(root), module, path.read_text(encoding="utf-8")))
    return tuple(found)


def functions(source: Source) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Each function and method with its name within the module, such as ``Plugins.get``; inner ones too."""

    def below(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}."
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name.rstrip("."), child
            yield from below(child, name)

    yield from below(source.tree, "")


def imports(files: tuple[Source, ...]) -> dict[str, dict[str, str]]:
    """Module -> the modules of `files` that it imports, each with the place of the first import.

    Counted are imports at the top, in functions and classes, under ``TYPE_CHECKING``, and those of stubs, by which
    ``lazy_loader`` finds what a package offers. ``from package import module`` imports the module, not the package.
    """
    known = {file.module for file in files}
    graph: dict[str, dict[str, str]] = {module: {} for module in known}
    for file in files:
        for node in file.nodes:
            for name in _imported(node, file):
                target = name if name in known else name.rpartition(".")[0]
                if target in known and target != file.module:
                    graph[file.module].setdefault(target, f"{file.path.as_posix()}:{node.lineno}")
    return graph


def _imported(node: ast.AST, file: Source) -> list[str]:
    """The dotted names that a statement imports; of ``from a import b`` this is ``a.b``, be it module or not."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "import_module"):
        return [one.value for one in node.args[:1] if isinstance(one, ast.Constant)]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = (node.module or "").split(".") if node.module else []
    if node.level:
        here = file.module.split(".")
        up = node.level - (file.path.stem == "__init__")  # in a package the first dot is the package itself
        base = here[: len(here) - up] + base
    return [".".join([*base, alias.name]) for alias in node.names]


def circles(graph: dict[str, dict[str, str]]) -> list[list[str]]:
    """For each group of modules that reach each other the shortest way round, beginning and ending with one module."""
    reach = {module: _reached(graph, module) for module in graph}
    found, seen = [], set()
    for module in sorted(graph):
        group = {other for other in reach[module] if module in reach[other]}
        if module in group and module not in seen:
            seen |= group
            found.append(min((_way_round(graph, member) for member in sorted(group)), key=len))
    return found


def _reached(graph: dict[str, dict[str, str]], start: str) -> set[str]:
    """What `start` imports, directly or through others."""
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += graph[module]
    return reached


def _way_round(graph: dict[str, dict[str, str]], start: str) -> list[str]:
    """The shortest path of imports from `start` back to it; there is one."""
    paths = [[start, target] for target in sorted(graph[start])]
    seen = set()
    for path in paths:  # grows meanwhile: the shorter paths come first
        if path[-1] == start:
            return path
        if path[-1] not in seen:
            seen.add(path[-1])
            paths += [[*path, target] for target in sorted(graph[path[-1]])]
    raise AssertionError("no way back")
