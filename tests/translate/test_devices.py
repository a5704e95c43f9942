"""Which device computes, and what is said when it is not the one that was asked for."""

import onnxruntime
import pytest

from helpers.small_models import make_model, noise
from i2i.errors import ModelError, UserError
from i2i.runtime.computing import session
from i2i.runtime.computing.session import open_session
from i2i.translate import load

CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))


@pytest.fixture
def file(tmp_path):
    return make_model(tmp_path / "model.onnx", "invert")


@pytest.fixture
def pretend(monkeypatch):
    """A machine with a GPU whose onnxruntime has these providers, of which only some work."""

    class Session:
        def __init__(self, source, options, providers, enable_fallback):
            self.given = providers
            if self.raising in providers:
                raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : CUDA failure 100: no kernel image is available")

        def get_providers(self):
            return [name for name in self.given if name in self.working]

    def make(built, working, raising=None):
        Session.working, Session.raising = working, raising
        monkeypatch.setattr(session, "_has_gpu", lambda: True)
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("noise"), raising=False)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built)
        monkeypatch.setattr(onnxruntime, "InferenceSession", Session)

    return make


def test_the_cpu_is_taken_without_a_word_when_asked_for_or_when_there_is_nothing_else(file, monkeypatch, capfd):
    monkeypatch.setattr(session, "_has_gpu", lambda: False)
    for device in ("cpu", "auto"):
        opened, note = open_session(file, device)
        assert (opened.get_providers(), note) == ([CPU], "")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("device", "name"), [("cuda", "CUDA"), ("tensorrt", "TensorRT")])
def test_a_device_that_is_not_there_is_replaced_by_the_cpu_with_a_note(file, monkeypatch, capfd, device, name):
    monkeypatch.setattr(session, "_has_gpu", lambda: False)
    model = load(file, device=device)
    assert model.provider == CPU
    assert model.notes == [f"{name} cannot be used (no CUDA device): using the CPU"]
    assert (model.translate_batch(noise(1, 5, 7, 3)) == 255 - noise(1, 5, 7, 3)).all()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("device", ["auto", "cuda", "tensorrt"])
def test_providers_that_do_not_load_leave_no_noise_and_a_working_model(file, monkeypatch, capfd, device):
    """Here the driver is only pretended; onnxruntime itself finds out and goes on."""
    if session._has_gpu():
        pytest.skip("there is a GPU")
    monkeypatch.setattr(session, "_has_gpu", lambda: True)
    model = load(file, device=device)
    assert model.provider == CPU
    cuda_built = CUDA in onnxruntime.get_available_providers()
    assert [note.partition(" cannot be used (")[0] for note in model.notes] == {
        "auto": [] if cuda_built else ["CUDA"],
        "cuda": ["CUDA"],
        "tensorrt": ["TensorRT"],
    }[device]
    assert all(note.endswith("): using the CPU") for note in model.notes)
    assert capfd.readouterr() == ("", "")


def test_tensorrt_falls_back_to_cuda_and_cuda_to_the_cpu(file, pretend, capfd):
    pretend([TENSORRT, CUDA, CPU], {CUDA, CPU})
    opened, note = open_session(file, "tensorrt")
    assert opened.get_providers() == [CUDA, CPU]
    assert note.startswith("TensorRT cannot be used (") and note.endswith("): using CUDA")
    assert open_session(file, "cuda")[1] == ""
    pretend([CUDA, CPU], {CUDA, CPU})
    assert open_session(file, "tensorrt")[1] == "TensorRT cannot be used (onnxruntime lacks it): using CUDA"
    assert open_session(file, "auto")[1] == ""
    assert capfd.readouterr() == ("", "")


def test_a_gpu_beside_an_onnxruntime_without_cuda_is_never_passed_over_in_silence(file, pretend, capfd):
    pretend([CPU], {CPU})
    reason = "the installed onnxruntime computes on the CPU only; install onnxruntime-gpu in its place"
    for device, name in (("auto", "CUDA"), ("cuda", "CUDA"), ("tensorrt", "TensorRT")):
        assert open_session(file, device)[1] == f"{name} cannot be used ({reason}): using the CPU"
    assert open_session(file, "cpu")[1] == ""
    assert capfd.readouterr() == ("", "")


def test_a_provider_that_fails_on_this_model_is_left_out_with_its_reason(file, pretend):
    pretend([TENSORRT, CUDA, CPU], {TENSORRT, CUDA, CPU}, raising=CUDA)
    for device, name in (("cuda", "CUDA"), ("tensorrt", "TensorRT")):
        opened, note = open_session(file, device)
        assert opened.get_providers() == [CPU]
        assert note.startswith(f"{name} cannot be used (") and "no kernel image" in note
    assert open_session(file, "auto")[1] == ""


def test_an_unknown_device_and_a_file_that_is_none_are_refused(file):
    with pytest.raises(UserError, match="auto, cpu, cuda, tensorrt"):
        open_session(file, "tpu")
    with pytest.raises(ModelError, match="not an ONNX file"):
        open_session(b"nothing", "cpu")


def test_a_model_opens_from_bytes_too(file):
    opened, _ = open_session(file.read_bytes(), "cpu")
    image = noise(1, 5, 7, 3)
    assert (opened.run(None, {"image": image})[0] == 255 - image).all()


@pytest.mark.gpu
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_cuda_gives_what_the_cpu_gives(file, device):
    image = noise(2, 40, 56, 3)
    model = load(file, device=device)
    assert (model.provider, model.notes) == (CUDA, [])
    assert (model.translate_batch(image) == load(file, device="cpu").translate_batch(image)).all()
