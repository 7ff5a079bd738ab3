"""Child process: load a student's file, run cases on request: python -m parity.student.worker FILE MB

It loads FILE as a module, tells which classes it found, then runs every case that comes in and sends back
what the class gave. It imports no PyTorch. Questions come in on stdin, by pickle; answers go out on what was
stdout, as JSON and the bytes of arrays, for nobody should unpickle what a student's process says. Before the
file is loaded both pipes move elsewhere: its stdin is empty, and what it prints goes to stderr.
"""

import contextlib
import ctypes
import io
import json
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from parity.foreign.calls import NoMannerError, UnknownArgumentError
from parity.foreign.find import said_in, subjects_in
from parity.foreign.recognise import Recognised, choose
from parity.record import Failure, Outcome, Run, describe
from parity.student.cases import Case
from parity.student.honesty import Canary, altered, functions, imported, loaded, origins
from parity.student.load import load, source_of
from parity.student.repair import Mender, Wish
from parity.student.run_case import run_case

Array = np.ndarray[Any, Any]
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
    """JSON on one line, then the bytes of the arrays, one after the other."""
    numbers = [array.astype(as_sent(array.dtype)).tobytes() for array in arrays]
    return b"".join([json.dumps(answer).encode(), b"\n", *numbers])


def as_sent(dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    """A longdouble goes as float64, for it is another one elsewhere."""
    return np.dtype(np.float64) if dtype.itemsize > 8 else dtype


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
            "arrays": [(*key, array.dtype.str, array.shape) for key, array in run.arrays.items()],
        }
    return packed({"failure": None, "runs": answer}, arrays)


class Examined:
    """The loaded file: what may be examined, and by name what to build for it."""

    def __init__(self, path: Path, said: Mapping[str, str], definitions_alone: bool):
        self.path, self.functions, self.foreign = path, functions(), list[str]()
        self.module, self.remarks = load(path, definitions_alone)
        with contextlib.suppress(OSError, ValueError):
            said = said_in(source_of(path)) | dict(said) if path.is_file() else said
        found, self.left = subjects_in(self.module, said)
        self.alternatives = {subjects[0].name: subjects for subjects in found}
        self.known: dict[str, Recognised] = {}
        self.menders: dict[str, Mender] = {}

    def listed(self) -> bytes:
        with contextlib.suppress(OSError, ValueError, SyntaxError):
            names = imported(source_of(self.path)) if self.path.is_file() else []
            self.foreign += [f"imports {name}" for name in dict.fromkeys([*names, *loaded()])]
        kinds = [(name, [s.kind for s in subjects]) for name, subjects in self.alternatives.items()]
        return packed(
            {
                "failure": None,
                "subjects": kinds,
                "left": self.left,
                "remarks": self.remarks,
                "imports": self.foreign,
            }
        )

    def recognised(self, name: str) -> Recognised:
        if name not in self.known:
            with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
                self.known[name] = choose(self.alternatives[name])
        return self.known[name]

    def taken(self, name: str) -> bytes:
        try:
            one = self.recognised(name)
        except UnknownArgumentError as error:
            return packed({"failure": None, "why": str(error), "fails": False})
        except NoMannerError as error:
            return packed({"failure": None, "why": str(error), "fails": True})
        elsewhere = origins(one.subject, self.module)
        told = {
            "fails": False,
            "elsewhere": elsewhere,
            "kind": one.subject.kind,
            "taken": one.taken,
            "offer": asdict(one.offer),
        }
        return packed({"failure": None, "why": "", **told})

    def run(self, name: str, case: Case) -> bytes:
        return pack_runs(run_case(self.recognised(name).cls, case))

    def mended(self, name: str, wish: Wish | float) -> bytes:
        """A change that fulfils the wish; or another one, in at most that time."""
        mender = self.menders.setdefault(name, Mender(self.recognised(name).cls))
        change = mender.first(wish) if isinstance(wish, Wish) else mender.next(wish)
        return packed({"failure": None, "change": asdict(change) if change else None, "left": mender.left})

    def run_changed(self, name: str, number: int, case: Case) -> bytes:
        return pack_runs(self.menders[name].run(number, case))

    def canary(self, key: Array, case: Case) -> bytes:
        """What the check makes of a class that no file knows; or which of its functions are others now."""
        made = type("Canary", (Canary,), {"__init__": lambda self: Canary.__init__(self, key)})
        if names := altered(self.functions):
            return packed(
                {"failure": told(Failure(Outcome.NO_ANSWER, f"it replaces {', '.join(names[:3])}"))}
            )
        return pack_runs(run_case(made, case))


class Server:
    """Answers questions: the first is how to load the file, the others are about what it has."""

    def __init__(self, path: Path):
        self.path, self.examined = path, list[Examined]()

    def answer(self, question: bytes) -> bytes:
        """What a question gives, or one line about the exception that ended it."""
        try:
            return self._answer(*pickle.loads(question))
        except BaseException as error:  # KeyboardInterrupt as well: it comes when the time is up
            try:
                while error.__traceback__ and error.__traceback__.tb_frame.f_code.co_filename == __file__:
                    error.__traceback__ = error.__traceback__.tb_next
                return packed({"failure": told(describe(error))})
            except BaseException:  # the exception of somebody's own class, whose __str__ raises another
                return packed({"failure": told(Failure(Outcome.RAISED, "", type(error).__name__))})

    def _answer(self, name: Any, *what: Any) -> bytes:
        if not self.examined:
            self.examined.append(Examined(self.path, name, *what))
            return self.examined[0].listed()
        (examined,) = self.examined
        match what:
            case [Case() as case] if isinstance(name, np.ndarray):
                return examined.canary(name, case)
            case []:
                return examined.taken(name)
            case [Case() as case]:
                return examined.run(name, case)
            case [Wish() | float() as wish]:
                return examined.mended(name, wish)
            case [int() as number, Case() as case]:
                return examined.run_changed(name, number, case)
        raise ValueError(what)


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
    server = Server(path)
    try:
        send(answers, packed({"failure": None}))  # from now on it is the file's time
        while True:
            send(answers, server.answer(receive(questions)))
    except EOFError:
        os._exit(0)  # at once, whatever threads and exit handlers the file has left
    except MemoryError:
        os._exit(FULL)
    except BaseException:
        os._exit(LOST)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]))
