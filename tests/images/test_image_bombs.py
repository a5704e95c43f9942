"""Files that promise too much are refused at once: in seconds and megabytes of a fresh process."""

import os
import subprocess
import sys

import pytest

from helpers.corpus_broken import broken_files

CHILD = """
import sys, time
from pathlib import Path
from i2i.images import count_frames, image_info, read_frames
from i2i.errors import DataError

for path in sorted(Path(sys.argv[1]).iterdir()):
    start = time.process_time()
    for read in (image_info, count_frames, lambda path: list(read_frames(path, exif=True))):
        try:
            read(path)
        except DataError:
            pass
    status = Path("/proc/self/status").read_text()  # getrusage would count the process that started this one
    megabytes = int(status.split("VmHWM:")[1].split()[0]) // 1024
    print(path.name, time.process_time() - start, megabytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_bombs_and_lies_cost_neither_time_nor_memory(tmp_path):
    names = [name for name in broken_files() if name.startswith(("bomb", "lie", "loop"))]
    assert len(names) > 25
    for name in names:
        (tmp_path / name).write_bytes(broken_files()[name][0])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(names)
    assert [name for name, seconds, _ in lines if float(seconds) > 2] == []
    assert [name for name, _, megabytes in lines if int(megabytes) > 300] == []
