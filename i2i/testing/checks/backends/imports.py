"""What making a component imports, found out in a process that has imported nothing else."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

from i2i.errors import PluginError
from i2i.plugins import Plugins

MAX_SECONDS = 120
"""Seconds that the process may take."""


def packages_of_backend(plugins: Plugins, name: str) -> list[str]:
    """The packages that making a backend, and asking for its `problem`, imports besides i2i's and the plugin's own.

    Args:
        plugins: looked up anew in another process; what they import does not count.
        name: the backend's name.

    Raises:
        PluginError: it cannot be made there.
    """
    words = [sys.executable, "-P", "-m", "i2i.testing.checks.backends.imports", pickle.dumps(plugins).hex(), name]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=MAX_SECONDS, env=variables)  # noqa: S603
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise PluginError(f"it cannot be made in a process of its own: {last or f'exit code {done.returncode}'}")
    found: list[str] = json.loads(done.stdout.rpartition("\n\n")[2])
    return found


def _main(plugins: Plugins, name: str) -> None:
    """Makes the backend, and prints the packages as JSON behind an empty line, for it may print itself."""
    import onnxruntime  # noqa: F401  i2i's own

    from i2i.plugins.backends import build_backend
    from i2i.runtime.computing.backend import Opening

    build = plugins.get("backend", name).build
    own = build if isinstance(build, str) else build.__module__
    before = _packages()
    build_backend(plugins, name).problem(Opening())
    found = _packages() - before - {"i2i", own.partition(":")[0].partition(".")[0], *sys.stdlib_module_names}
    print("\n\n" + json.dumps(sorted(module for module in found if not module.startswith("_"))))


def _packages() -> set[str]:
    return {module.partition(".")[0] for module in sys.modules}


if __name__ == "__main__":
    _main(pickle.loads(bytes.fromhex(sys.argv[1])), sys.argv[2])  # noqa: S301  our parent's
