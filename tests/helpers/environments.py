"""Environments of their own, made by uv, in which the built wheel is installed and used as by anybody."""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

WHEEL = "I2I_WHEEL"
"""The variable that names the folder with the built wheel; ``.ci/run`` makes it."""


def built_wheel() -> Path:
    """The wheel to test."""
    [wheel] = Path(os.environ[WHEEL]).absolute().glob("i2i_toolkit-*.whl")
    return wheel


@dataclass(frozen=True)
class Environment:
    """A virtual environment, used by commands as in a shell in which it is activated.

    Attributes:
        root: its folder.
    """

    root: Path

    @property
    def bin(self) -> Path:
        """The folder of its commands."""
        return self.root / ("Scripts" if sys.platform == "win32" else "bin")

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of its commands; pip finds the wheel as it would find a published one."""
        ours = ("I2I_", "PYTHON", "PYTEST_", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_RUN_")
        kept = {key: value for key, value in os.environ.items() if key != "UV" and not key.startswith(ours)}
        links = f"{kept.get('PIP_FIND_LINKS', '')} {built_wheel().parent}".strip()
        return kept | {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": str(self.root),
            "PIP_FIND_LINKS": links,
            "OMP_NUM_THREADS": "1",
        }

    def run(self, line: str, cwd: Path) -> str:
        """Runs a command line that must succeed; what it printed."""
        done = self.finished(line, cwd)
        assert done.returncode == 0, f"{line}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def finished(self, line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Runs a command line to its end."""
        return subprocess.run(
            shlex.split(line), cwd=cwd, env=self.variables, capture_output=True, text=True, timeout=800
        )

    def megabytes(self) -> float:
        """What the environment takes on the disk."""
        files = {(s.st_dev, s.st_ino): s.st_size for s in (path.lstat() for path in self.root.rglob("*"))}
        return sum(files.values()) / 1e6


def make_environment(root: Path, *requirements: str) -> Environment:
    """A new environment with pip and the packages.

    Args:
        root: the folder to make.
        requirements: as for pip.
    """
    subprocess.run(["uv", "venv", "--quiet", "--seed", "--python", sys.executable, str(root)], check=True)
    if requirements:
        install = ["uv", "pip", "install", "--quiet", "--python", str(root), *requirements]
        subprocess.run(install, check=True, cwd=root)
    return Environment(root)
