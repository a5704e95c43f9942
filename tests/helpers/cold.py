"""The `i2i` command from cold starts: forks of a Python that has imported next to nothing.

Run as a program it takes a list of jobs as JSON on stdin and answers each with one JSON line.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        returncode: its exit code, negative for a signal.
        stdout: what it printed.
        stderr: what it printed to stderr.
        modules: names of the top-level packages that it had imported; empty if it ended without returning.
    """

    returncode: int
    stdout: str
    stderr: str
    modules: frozenset[str]


def cold(jobs, *, cwd, entry="module", preload=(), **environment):
    """Runs commands one after the other.

    Args:
        jobs: a pair for each command: its words in one text, and Python code to run before it, which may be empty.
        cwd: the folder in which they run.
        preload: modules to import before the first command, to save the time.
        entry: ``module`` for ``python -m i2i``, ``script`` for what the installed script does.
        environment: variables of the environment.
    """
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(
        [sys.executable, "-S", __file__, entry, *preload],
        input=json.dumps(jobs),
        cwd=cwd,
        env=variables,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(jobs)
    return [Ended(code, out, err, frozenset(modules)) for code, out, err, modules in answers]


def _child(entry, words, before, streams):
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream.fileno(), number)
    sys.argv = ["i2i", *words.split()]
    exec(before, {})
    if entry == "module":
        import runpy

        runpy.run_module("i2i", run_name="__main__", alter_sys=True)
    else:
        from importlib.metadata import EntryPoint

        sys.exit(EntryPoint("i2i", _script(), "console_scripts").load()())


def _script():
    """What the installed script calls, as ``pyproject.toml`` has it."""
    import tomllib
    from pathlib import Path

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]["scripts"]["i2i"]


def _run(entry, words, before):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as loaded:
        if (pid := os.fork()) == 0:
            code = 1
            try:
                _child(entry, words, before, (out, err))
                code = 0
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else int(error.code is not None)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os.write(loaded.fileno(), json.dumps(sorted({name.partition(".")[0] for name in sys.modules})).encode())
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        for file in (out, err, loaded):
            file.seek(0)
        return code, out.read().decode(), err.read().decode(), json.loads(loaded.read() or "[]")


if __name__ == "__main__":
    for name in sys.argv[2:]:
        __import__(name)
    for line, code in json.load(sys.stdin):
        print(json.dumps(_run(sys.argv[1], line, code)), flush=True)
