"""No group of files reaches each other by imports, wherever in a file an import stands."""

from itertools import pairwise

import pytest

from helpers.source_tree import circles, imports, sources


def described(graph, circle):
    """A circle as lines: the place of each import, and what is imported there."""
    steps = pairwise(circle)
    return "\n".join(f"  {graph[module][target]}: {module} imports {target}" for module, target in steps)


def test_no_group_of_files_reaches_each_other():
    graph = imports(sources())
    found = [f"a circle of imports:\n{described(graph, circle)}" for circle in circles(graph)]
    assert not found, "\n".join([*found, "put what both need into a module of its own"])


def test_the_walk_sees_the_whole_house():
    graph = imports(sources())
    assert {"i2i", "i2i.api", "i2i.cli", "i2i_pix2pix", "i2i_srgan.recipes"} <= graph.keys()
    assert {"i2i.api", "i2i.errors", "i2i.translate"} <= graph["i2i"].keys()  # by the stub
    assert "i2i" in graph["i2i_pix2pix"]


CIRCLES = {
    "at the top": {"a.py": "import p.b", "b.py": "from p.a import x"},
    "in a function": {"a.py": "from p import b", "b.py": "def f():\n    from p import a"},
    "for types": {"a.py": "import p.b", "b.py": "if TYPE_CHECKING:\n    from p.a import X"},
    "relative": {"a.py": "from .s.b import x", "s/b.py": "from ..a import y"},
    "through the package": {"__init__.py": "from p.a import x", "a.py": "import p"},
    "through the stub": {"__init__.pyi": "from .a import x as x", "a.py": "from p import x"},
    "by name": {"a.py": "import p.b", "b.py": "import importlib\nimportlib.import_module('p.a')"},
    "over three": {"a.py": "import p.b", "b.py": "import p.c", "c.py": "import p.a"},
}


@pytest.mark.parametrize("files", CIRCLES.values(), ids=CIRCLES)
def test_a_circle_is_found(files, tmp_path):
    found = circles(imports(tree(tmp_path, files)))
    assert len(found) == 1
    assert found[0][0] == found[0][-1]


def test_a_circle_is_told_by_its_shortest_way_round(tmp_path):
    files = {"a.py": "import p.b\nimport p.c", "b.py": "import p.c", "c.py": "\nimport p.a", "d.py": "import p.a"}
    graph = imports(tree(tmp_path, files))
    assert [described(graph, circle) for circle in circles(graph)] == [
        "  p/a.py:2: p.a imports p.c\n  p/c.py:2: p.c imports p.a"
    ]


def test_a_package_that_offers_what_its_modules_have_is_no_circle(tmp_path):
    files = {"__init__.py": "from p.a import x", "a.py": "from p import b\nimport os", "b.py": "import numpy as p"}
    assert circles(imports(tree(tmp_path, files))) == []


def tree(root, files):
    for name, text in {"__init__.py": "", **files}.items():
        (root / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "p" / name).write_text(text)
    return sources(root, ("p",))
