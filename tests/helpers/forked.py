"""Tries many model files, each in a fork of one process that has its imports behind it: quicker than a start for each.

Run as a program it takes lines ``ACT SECONDS MEMORY FILE`` on stdin and answers each with one JSON line.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from i2i.runtime.sandbox.check import CheckLimits, ProcessEnd, verdict

MEMORY = 1 << 30


@dataclass(frozen=True)
class End:
    """How one try ended.

    Attributes:
        says: what is wrong with the file, "" for nothing.
        signal: number of the signal that ended the process, 0 for none.
        answer: what the process wrote.
        bytes: memory that it took at most.
    """

    says: str
    signal: int
    answer: str
    bytes: int


def tried(files, *, act="check", seconds=5, memory=MEMORY, timeout=600):
    """Checks each file, or, with ``use``, loads it and translates an image; in order."""
    lines = "".join(f"{act} {seconds} {memory} {file}\n" for file in files)
    command = [sys.executable, __file__]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=timeout, env=environment)
    assert done.returncode == 0, done.stderr
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(ends) == len(files)
    limits = CheckLimits(seconds, memory)
    return [
        End(verdict(ProcessEnd(code, answer.encode()), limits), max(-code, 0), answer, peak)
        for code, answer, peak in ends
    ]


def use(file, seconds, memory):
    """What the command does with a file that passed: loads it and translates one image; answers as the check does."""
    from helpers.small_models import noise
    from i2i.errors import UserError
    from i2i.runtime.sandbox.child import limit
    from i2i.translate import load

    limit(seconds, memory)
    try:
        model = load(file, device="cpu")
        label = 0 if model.takes_label else None
        if model.info.generates:
            model.generate(1, label=label)
        else:
            model.translate_batch(noise(1, 33, 47, model.channels[0], dtype=model.dtype), label=label)
    except UserError as error:
        return {"refused": str(error)}
    return {}


def _child(act, file, seconds, memory, pipe):
    from i2i.runtime.sandbox import child

    os.dup2(pipe, 1)
    if act == "check":
        sys.argv = ["child", file, seconds, memory]
        child.main()
    else:
        with open(1, "w") as out:
            json.dump(use(file, int(seconds), int(memory)), out)


def _fork(act, seconds, memory, file):
    reader, writer = os.pipe()
    stdin, keep = os.pipe()  # the child ends when its stdin does
    if (pid := os.fork()) == 0:
        code = 70
        try:
            os.dup2(stdin, 0)
            _child(act, file, seconds, memory, writer)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writer)
    with tempfile.TemporaryFile() as answer:
        while part := os.read(reader, 65536):
            answer.write(part)
        answer.seek(0)
        _, status, usage = os.wait4(pid, 0)
        for end in (reader, stdin, keep):
            os.close(end)
        return os.waitstatus_to_exitcode(status), answer.read().decode(), usage.ru_maxrss * 1024


def main():
    from helpers import small_models  # noqa: F401

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    lines = sys.stdin.read().splitlines()
    for line in lines:
        act, seconds, memory, file = line.split(" ", 3)
        print(json.dumps(_fork(act, seconds, memory, str(Path(file)))), flush=True)


if __name__ == "__main__":
    main()
