"""Child process: load a student's file, run cases on request: python -m parity.student.worker FILE MB

It loads FILE as a module, tells which classes it found, then runs every case that comes in and sends back
what the class gave. It imports no PyTorch. Questions come in on stdin, by pickle; answers go out on what was
stdout, as JSON and safetensors, for nobody should unpickle what a student's process says. Before the file is
loaded both pipes move elsewhere: its stdin is empty, and what it prints goes to stderr.
"""

import contextlib
import ctypes
import inspect
import json
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
from safetensors.numpy import save

from parity.kinds import KINDS
from parity.record import Failure, Outcome, Run, describe
from parity.student.run_case import run_case

Array = np.ndarray[Any, Any]
NAMES = {kind: kind for kind in KINDS}
NAMES |= {kind.twin: name for name, kind in KINDS.items() if kind.role == "layer"}  # PyTorch's names
MOST = 64 << 20  # bytes of a message, and of a file that is written
PR_SET_PDEATHSIG = 1  # of Linux: the signal that comes when the parent ends
LOST, FULL = 77, 78  # exit codes of a worker without its pipes, without memory
OWN_MB = 1024  # what Python and its libraries take: 0.1 GB with NumPy, 0.8 GB if the file imports PyTorch
MAPPED_MB = 4096  # address space alone: libraries are mapped whole, PyTorch's for GPUs takes 3 GB


def send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(len(message).to_bytes(8, "little") + message)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """The next message. Raises EOFError at the end, ValueError for a length that no message has."""
    head = pipe.read(8)
    length = int.from_bytes(head, "little") if len(head) == 8 else 0
    if length > MOST:
        raise ValueError(f"{length} bytes, expected at most {MOST}")
    message = pipe.read(length)
    if len(head) < 8 or len(message) < length:
        raise EOFError
    return message


def packed(answer: dict[str, Any], arrays: Sequence[Array] = ()) -> bytes:
    """JSON on one line, then the arrays as a safetensors file, whose names number them."""
    tensors = {str(i): _as_safetensors_can(array) for i, array in enumerate(arrays)}
    return json.dumps(answer).encode() + b"\n" + save(tensors)


def _as_safetensors_can(array: Array) -> Array:
    """In native byte order, and a longdouble as float64; the dtype that it had is told beside it."""
    native = array.dtype.newbyteorder("=")
    return np.array(array, np.float64 if array.dtype.itemsize > 8 else native, order="C")  # 0-d stays 0-d


def told(failure: Failure | None) -> list[str] | None:
    return (
        None if failure is None else [failure.outcome.value, failure.text, failure.exception, failure.where]
    )


def pack_runs(runs: dict[str, Run]) -> bytes:
    arrays = [array for run in runs.values() for array in run.arrays.values()]
    if (size := sum(array.nbytes for array in arrays) >> 20) > 32:
        too_large = Failure(Outcome.NO_ANSWER, f"gave {size} MB of arrays, expected less than 32 MB")
        return packed({"failure": told(too_large)})
    answer = {}
    for name, run in runs.items():
        answer[name] = {
            "failure": told(run.failure),
            "remarks": [(*key, remark.fault.value, remark.text) for key, remark in run.remarks.items()],
            "arrays": [(*key, array.dtype.str) for key, array in run.arrays.items()],
        }
    return packed({"failure": None, "runs": answer}, arrays)


def answer(work: Callable[[], bytes]) -> bytes:
    """What `work` gives, or one line about the exception that ended it."""
    try:
        return work()
    except BaseException as error:  # KeyboardInterrupt as well: it comes when the time is up
        try:
            while error.__traceback__ and error.__traceback__.tb_frame.f_code.co_filename == __file__:
                error.__traceback__ = error.__traceback__.tb_next
            return packed({"failure": told(describe(error))})
        except BaseException:  # the exception of somebody's own class, whose __str__ raises another
            return packed({"failure": told(Failure(Outcome.RAISED, "", type(error).__name__))})


def load(path: Path) -> ModuleType:
    """The file as a module under a name of its own; it may import the files beside it."""
    sys.path.insert(0, str(path.parent))
    sys.argv = [str(path)]
    name = f"checked_{path.stem}"
    module = sys.modules[name] = ModuleType(name)  # dataclasses and pickle look it up there
    module.__file__ = str(path)
    exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(module))
    return module


def classes_in(module: ModuleType) -> list[tuple[str, str]]:
    """(name, kind) of every class that the file, or one beside it, defines and whose kind is known."""
    found: dict[int, tuple[str, str]] = {}
    for name, cls in vars(module).items():
        if isinstance(cls, type):
            file = getattr(sys.modules.get(cls.__module__), "__file__", None)
            ours = cls.__module__.startswith(("tinycnn_numpy", "tinycnn_torch", "parity."))
            beside = file and not ours and Path(file).parent == Path(str(module.__file__)).parent
            kinds = [NAMES[base.__name__] for base in cls.__mro__ if base.__name__ in NAMES]
            if kinds and (beside or cls.__module__ == module.__name__) and takes_stages(cls, kinds[0]):
                found.setdefault(id(cls), (name, kinds[0]))
    return list(found.values())


def takes_stages(cls: type, kind: str) -> bool:
    """Whether it may be built as its kind is: a model made of a Sequential may not."""
    parameters = inspect.signature(cls).parameters.values()
    return kind != "Sequential" or any(p.kind is p.VAR_KEYWORD for p in parameters)


def limit(memory_mb: int) -> None:
    """Bounds on memory and on written files, no core dumps; what the system does not know stays as it is."""
    with contextlib.suppress(ImportError):
        import resource  # not on Windows

        data = (OWN_MB + memory_mb) << 20
        limits = {"DATA": data, "AS": data + (MAPPED_MB << 20), "FSIZE": MOST, "CORE": 0}
        for name, most in limits.items():
            with contextlib.suppress(OSError, ValueError):  # a lower one is in force; macOS refuses some
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def end_with(parent: int) -> None:
    """If the other process is killed, nobody else would stop a loop without end."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(0, signal.SIGKILL)


def main(path: Path, memory_mb: int) -> None:
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.name == "posix":
        for fd in (questions.fileno(), answers.fileno()):  # not for processes that the file forks
            os.register_at_fork(after_in_child=partial(os.closerange, fd, fd + 1))
        with contextlib.suppress(Exception):  # on Linux the kernel does it, even while no thread gets a turn
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    limit(memory_mb)
    modules: list[ModuleType] = []

    def first() -> bytes:
        modules.append(load(path))
        return packed({"failure": None, "classes": classes_in(modules[0])})

    def run() -> bytes:
        name, case = pickle.loads(question)
        return pack_runs(run_case(getattr(modules[0], name), case))

    try:
        send(answers, packed({"failure": None}))  # from now on it is the file's time
        send(answers, answer(first))
        while True:
            question = receive(questions)
            send(answers, answer(run))
    except EOFError:
        os._exit(0)  # at once, whatever threads and exit handlers the file has left
    except MemoryError:
        os._exit(FULL)
    except BaseException:
        os._exit(LOST)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]))
