"""A loader process may die at any moment: the message names it, and the batches go on in this process."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from torch.utils.data._utils import signal_handling

from i2i.data.batches import BatchOrder, batches
from i2i.engine.device.loader import survive_worker_death
from i2i.errors import DataError, TrainingError

KILLED = r"a loader process died \(process {}, killed by signal 9, perhaps for want of memory\)"


class Numbered:
    """Samples that say who loaded them; what is called ``fault`` happens at one place of the first epoch."""

    def __init__(self, fault=None, place=None):
        self.fault, self.place = fault, place

    def preload(self):
        pass

    def __len__(self):
        return 1000

    def __getitem__(self, place):
        if place[1] == self.place and self.fault:
            self.fault()
        image = np.full((64, 64, 3), place[1] % 256, np.uint8)
        return {"source": image, "number": np.int64(place[1]), "pid": np.int64(os.getpid())}


def opened(samples, deaths, workers=2):
    def load(first, workers, context):
        return batches(samples, BatchOrder(len(samples), 4, seed=0, taken=4 * first), workers, context=context)

    return survive_worker_death(load, workers, None if deaths is None else deaths.append)


def numbers(count):
    """What an undisturbed loader gives."""
    loaded = opened(Numbered(), [], workers=0)
    return [next(loaded)["number"].tolist() for _ in range(count)]


def die():
    if os.getpid() != MAIN:
        os.kill(os.getpid(), signal.SIGKILL)


MAIN = os.getpid()


@pytest.fixture
def busy():
    """Two processes beside that use whatever time they get."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for process in processes:
        process.kill()
        process.wait()


def killed_while_reading(after, delay):
    """The message and the batches when a process is killed some batches and seconds after the start."""
    deaths, got = [], []
    loaded = opened(Numbered(), deaths)
    for number in range(40):
        batch = next(loaded)
        got.append(batch["number"].tolist())
        if number == after:
            victim = int(batch["pid"][0])
            os.kill(victim, signal.SIGKILL)
            time.sleep(delay)
    loaded.close()
    assert [str(death) for death in deaths] == [KILLED.format(victim).replace("\\", "")]
    assert got == numbers(40)


@pytest.fixture(autouse=True)
def loader_of_somebody_else():
    """Makes torch install its handler of SIGCHLD, which it does once a program, before the loader that is tested."""
    signal_handling._SIGCHLD_handler_set = False
    signal_handling._set_SIGCHLD_handler()
    assert callable(signal.getsignal(signal.SIGCHLD))
    yield
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


@pytest.mark.parametrize("after", [0, 7])
@pytest.mark.parametrize("delay", [0, 0.003, 0.3])
def test_the_process_and_its_signal_are_named_however_its_death_is_noticed(after, delay):
    killed_while_reading(after, delay)


def test_they_are_named_on_a_busy_machine(busy):
    for delay in (0, 0.001, 0.01):
        killed_while_reading(2, delay)


def test_a_process_that_dies_before_its_first_batch_is_named():
    first = numbers(1)[0][0]
    deaths = []
    loaded = opened(Numbered(die, first), deaths)
    assert [next(loaded)["number"].tolist() for _ in range(3)] == numbers(3)
    assert len(deaths) == 1
    assert "killed by signal 9" in str(deaths[0])


def test_a_process_that_ends_itself_is_named_with_its_exit_code():
    def leave():
        if os.getpid() != MAIN:
            os._exit(3)

    deaths = []
    loaded = opened(Numbered(leave, numbers(2)[1][0]), deaths)
    assert [next(loaded)["number"].tolist() for _ in range(3)] == numbers(3)
    assert "exit code 3)" in str(deaths[0])


def test_without_anybody_to_tell_the_death_ends_the_batches():
    with pytest.raises(TrainingError, match="killed by signal 9"):
        next(opened(Numbered(die, numbers(1)[0][0]), None))


def test_an_error_of_a_sample_is_no_death():
    def fail():
        raise DataError("broken")

    deaths = []
    with pytest.raises(DataError, match="broken"):
        next(opened(Numbered(fail, numbers(1)[0][0]), deaths))
    assert deaths == []


def test_the_callers_handler_of_child_signals_stays_and_torchs_does_not(monkeypatch):
    def own(number, frame):
        """Nothing to do."""

    for before, after in ((signal.getsignal(signal.SIGCHLD), signal.SIG_DFL), (own, own)):
        monkeypatch.setattr(signal_handling, "_SIGCHLD_handler_set", before is not own)
        signal.signal(signal.SIGCHLD, before)
        loaded = opened(Numbered(), [])
        next(loaded)
        assert signal.getsignal(signal.SIGCHLD) is after
        loaded.close()
