"""Memory and open files of a long training of the smallest networks: both must stay what they were at step 200.

python tests/stress/long_run.py --steps 2000
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = (
    "data.size=32 data.load_size=36 train.log_every=10 train.val_images=4 train.sample_count=2 engine.threads=1 "
    "engine.precision=fp32 train.checkpoint_every=100 train.sample_every=100 pix2pix.generator.filters=4"
)


def look(pid: int) -> tuple[int, int]:
    """Resident memory in bytes, and the number of open files."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def steps_done(run: Path) -> int:
    """Logged so far."""
    lines = [line for line in (run / "metrics.jsonl").read_text().splitlines() if '"epoch"' in line]
    return int(lines[-1].partition('"step": ')[2].partition(",")[0]) if lines else 0


def main() -> int:
    """Trains and looks; 1 if memory grew by more than 5 %, or files stay open."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        words = [sys.executable, "-m", "i2i", "train", "pix2pix", "--out", str(run), "--steps", str(asked.steps)]
        sets = [*WORDS.split(), "pix2pix.discriminator={name: patch, filters: 4, layers: 2}"]
        words += [word for line in [*sets, f"data.workers={asked.workers}"] for word in ("--set", line)]
        process = subprocess.Popen(words, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
        seen: dict[int, tuple[int, int]] = {}
        while process.poll() is None and max(seen, default=0) < asked.steps - 20:
            time.sleep(0.2)
            if (run / "metrics.jsonl").exists():
                seen[steps_done(run)] = look(process.pid)
        code = process.wait()
    first, last = min(step for step in seen if step >= 200), max(seen)
    for step in [*sorted(seen)[:: max(1, len(seen) // 10)], last]:
        print(f"step {step:5}: {seen[step][0] / 2**20:7.1f} MiB, {seen[step][1]} open files")
    growth = seen[last][0] / seen[first][0] - 1
    files = {count for step, (_, count) in seen.items() if step >= first}
    print(f"exit {code}; memory grew by {growth:.1%} from step {first} to {last}; open files {sorted(files)}")
    return 0 if code == 0 and growth <= 0.05 and max(files) - min(files) <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
