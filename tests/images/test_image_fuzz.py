"""Whatever a file holds, reading it ends in a picture or in one line: no crash, no hang, nothing printed.

A process of its own reads mutated files, so that a crash or a hang of a decoder shows. I2I_FUZZ sets their number.
"""

import os
import random
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
SECONDS_A_FILE = 20
MAX_MEGABYTES = 2000  # of address space beyond what the process starts with


def run(folder, first, number):
    done = subprocess.run(
        [sys.executable, __file__, str(folder), str(first), str(number)],
        capture_output=True,
        text=True,
        timeout=600 + number,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    log = (folder / "log").read_text().splitlines()
    assert done.returncode == 0, f"{done.returncode} at {log[-1:]}, {done.stderr[-2000:]}"
    assert (done.stdout, done.stderr) == ("", "")
    return log


def test_mutated_files_end_in_a_picture_or_one_line(tmp_path):
    log = run(tmp_path, 0, int(os.environ.get("I2I_FUZZ", "200")))
    assert 0.05 < sum(line.endswith("read") for line in log) / len(log) < 0.95


@pytest.mark.slow
def test_many_mutated_files_end_in_a_picture_or_one_line(tmp_path):
    run(tmp_path, 1000, 2000)


def mutated(data, others, rng):
    """A copy of `data` with bytes flipped, fields of the header changed, parts cut, repeated or from other files."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        at, kind = rng.randrange(len(data)), rng.randrange(8)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice((0, 1, 127, 128, 255))
        elif kind in (2, 3):  # a field of the header
            at = rng.randrange(min(len(data), 200))
            number = rng.choice((0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1, 9000, rng.randrange(2**32)))
            field = struct.pack(rng.choice("<>") + "I", number)[: rng.choice((2, 4))]
            data[at : at + len(field)] = field
        elif kind == 4:
            del data[rng.randrange(len(data) // 4, len(data)) :]
        elif kind == 5:
            data[at:at] = data[at : at + rng.randrange(1, 400)]
        elif kind == 6:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            data[at : at + 64] = other[start : start + rng.randrange(1, 400)]
        else:
            del data[at : at + rng.randrange(1, 40)]
        data = data or bytearray(b"\0")
    return bytes(data)


def main(folder, first, number):
    import resource

    from helpers.corpus import corpus
    from i2i.errors import DataError
    from i2i.images import read_frames

    whole = sorted((name, data) for name, (data, case) in corpus().items() if "refused" not in case)
    contents = [data for _, data in whole]
    endings = sorted({Path(name).suffix for name, _ in whole})
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_MEGABYTES * 2**20,) * 2)
    with (folder / "log").open("w") as log:
        for seed in range(first, first + number):
            rng = random.Random(seed)
            ending = rng.choice(endings)
            name, data = rng.choice([file for file in whole if file[0].endswith(ending)])
            path = folder / "image"
            path.write_bytes(mutated(data, contents, rng))
            log.write(f"{seed} {name} ")
            log.flush()
            signal.alarm(SECONDS_A_FILE)  # nobody catches it: the process dies
            try:
                for picture in read_frames(path, exif=True):
                    assert picture.pixels.ndim == 3
                outcome = "read"
            except DataError as error:
                outcome = str(error).removeprefix(str(path))
                assert "\n" not in outcome and len(outcome) < 200
            log.write(outcome + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
