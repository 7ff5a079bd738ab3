"""Run the classes of a student's file in a process of their own, so that no mistake in it reaches this one.

An exception, a loop without end, sys.exit, a crash, an array too large, a flood of output: each ends as one
line about the class that did it. This is robustness, not a sandbox: the code has the rights of whoever runs
it, may delete files and use the network, and what it starts in a session of its own outlives it. The files of
people whom you do not trust belong into the sandbox (parity.student.sandbox) or a container.

What the process says is read as data, never as code. Memory is limited on Linux only.
"""

import codecs
import contextlib
import dataclasses
import io
import json
import math
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from parity.foreign.subject import WHATEVER, Offer
from parity.kinds import KINDS
from parity.record import Failure, Fault, Outcome, Remark, Run
from parity.student.cases import Case
from parity.student.repair import Change, Wish
from parity.student.worker import FULL, LOST, as_sent, receive, send

COMMAND = [sys.executable, "-P", "-B", "-u", "-X", "faulthandler", "-m", "parity.student.worker"]
SHOWN = 2000  # characters of the output that are kept
MENDING = 20.0  # seconds of the processor in which changes of one file are tried
LONG, MANY = 500, 40  # characters of a name or remark; how many of them
NOT_TRIED = "not tried, because two cases before gave no answer in time"
FOREIGN = "the process sent what is no answer: does the code write to files that it did not open?"
CLOSED = "the process lost its connection: does the code close files that it did not open?"
_SIGNALS = {number.value: number.name for number in signal.Signals}


class LoadError(Exception):
    """The file cannot be loaded: one line says why, without the file's name."""


class LateLoadError(LoadError):
    """Loading it takes too long."""


class ProcessError(Exception):
    """The process ended, or had to be ended."""


class LateError(ProcessError):
    """It did not answer in time."""


@dataclass(frozen=True)
class Taken:
    """What a class or function is taken for.

    how    in words, "" if it has the library's interface; offer: what it takes
    why    it cannot be examined; fails: for it ends in an exception, however it is called
    elsewhere   what of it stands in another file
    """

    kind: str
    how: str = ""
    offer: Offer = WHATEVER
    why: str = ""
    fails: bool = False
    elsewhere: tuple[str, ...] = ()


class Contained:
    """with Contained("student.py") as child: child.subjects, child.ask("Conv2D", cases); then child.printed

    seconds    for loading the file, and for each case. After one without an answer the other cases of that
               class get a tenth of it (at least 1 s); after two they are not tried.
    total      for all cases of the file together
    memory_mb  memory for the student's code, Python and libraries not counted
    said       what the command line says that classes are: {"Affine": "Dense"}
    command    what starts the process; parity.student.sandbox has another
    subjects   the kinds that each class or function may be of, by its name
    left       why others are left alone, by name; remarks: on how the file was loaded
    imports    the libraries that know the answers and that it imports

    Entering raises LoadError. A process that ended is replaced by a fresh one for the next case.
    """

    def __init__(
        self,
        path: Any,
        seconds: float = 20.0,
        memory_mb: int = 2048,
        said: Mapping[str, str] | None = None,
        total: float = 600.0,
        command: Sequence[str] = COMMAND,
    ):
        self.command = command
        self.path, self.seconds, self.memory_mb, self.total = Path(path), seconds, memory_mb, total
        self.said, self.definitions_alone = dict(said or {}), False
        self.subjects: dict[str, list[str]] = {}
        self._written: dict[str, str] = {}  # by the name that can be shown the one that the file has
        self.left: dict[str, str] = {}
        self.remarks: list[str] = []
        self.imports: list[str] = []
        self._end = math.inf  # of the time for the whole file
        self.mending = MENDING  # seconds that are left to look for changes of its code
        self._process: subprocess.Popen[bytes] | None = None
        self._text, self._more = "", 0  # of what it prints

    def __enter__(self) -> "Contained":
        if not self.path.exists():
            raise LoadError("there is no such file")
        self._end = time.monotonic() + self.total
        try:
            self._start()
        except LateLoadError as reason:  # it trains, say
            self.definitions_alone = True
            self._start()
            if not self.subjects:
                self.__exit__()
                raise reason from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            _kill(self._process)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):  # a question that nobody read
                    pipe.close()  # type: ignore[union-attr]
            self._reader.join(timeout=2)  # not for ever: a process that left the group may hold the pipe
            self._process = None

    def taken(self, name: str) -> Taken:
        """What a class or function is taken for."""
        plain = Taken(self.subjects[name][0])
        try:
            if not self._process:
                self._start()
            return self._exchange(self.seconds, _taken, (self._written.get(name, name),)) or plain
        except (LoadError, ProcessError):  # its cases will say what it does
            return plain

    def tampered(self) -> str:
        """What gives away that the file alters the functions that examine it; "" if nothing does."""
        rng = np.random.default_rng()
        key, x, dout = rng.standard_normal((3, 2, 3))
        case = Case("ReLU", "canary", {"first": {"x": x, "dout": dout}}, dtype=np.float64)
        try:
            if not self._process:
                self._start()
            run = self._exchange(self.seconds, partial(_runs, case), (key, case))["first"]
        except (LoadError, ProcessError) as reason:
            return str(reason)
        if run.failure:
            return str(run.failure)
        wanted = {("ReLU", "out"): x * key, ("ReLU", "dx"): dout - key}
        same = run.arrays.keys() == wanted.keys() and all(
            np.array_equal(run.arrays[name], array) for name, array in wanted.items()
        )
        return "" if same else "a class that the check knows gave another answer than it does"

    def ask(self, name: str, cases: Iterable[Case]) -> Iterator[tuple[Case, dict[str, Run]]]:
        """Each case and what the class of this name gave; or how the process ended, as Run.error."""
        seconds, late = self.seconds, 0
        for case in cases:
            runs = _failed(NOT_TRIED)
            if time.monotonic() > self._end:
                runs = _failed(f"not tried: the {self.total:g} s for the whole file are over")
            elif late < 2:
                try:
                    if not self._process:
                        self._start()
                    question = self._written.get(name, name), case
                    runs = self._exchange(seconds, partial(_runs, case), question)
                    for run in runs.values():
                        run.failure = self._in_words(run.failure)
                except (LoadError, ProcessError) as reason:
                    runs = _failed(str(reason))
                    if isinstance(reason, LateError):
                        late, seconds = late + 1, min(seconds, max(1.0, self.seconds / 10))
            yield case, runs

    def ask_one(self, name: str, case: Case) -> dict[str, Run]:
        ((_, runs),) = self.ask(name, [case])
        return runs

    def mender(self, name: str) -> "RemoteMender":
        """Runs the class of this name with changes made to it."""
        return RemoteMender(self, name)

    def mend(self, name: str, read: Callable[[bytes], Any], *question: Any, seconds: float) -> Any:
        """What the process makes of a question about changes; None if it gives no answer."""
        if not self._process or time.monotonic() > self._end:  # a fresh one knows of no changes
            return None
        try:
            return self._exchange(
                max(seconds, self.seconds), read, (self._written.get(name, name), *question)
            )
        except (LoadError, ProcessError):
            return None

    @property
    def printed(self) -> str:
        """The beginning of what the code printed; complete after the `with` block."""
        text = "\n".join(map(printable, self._text.split("\n")))
        return f"{text}\n... ({self._more:,} more characters)" if self._more else text

    def _start(self) -> None:
        paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
        one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        path = os.pathsep.join(filter(None, paths))
        python = {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8:backslashreplace"}
        self._process = subprocess.Popen(
            [*self.command, str(self.path), str(self.memory_mb)],
            env={**os.environ, **one_thread, **python},
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        try:
            self._exchange(60 + self.seconds, _unpacked)  # NumPy is imported: from a network drive, say
            how = self.said, self.definitions_alone
            loaded: tuple[Failure | None, Any] = self._exchange(self.seconds, _listed, how)
        except ProcessError as reason:
            late = isinstance(reason, LateError) and not self.definitions_alone
            text = str(reason).replace("no answer within", "not loaded within")
            raise (LateLoadError if late else LoadError)(text) from None
        failure, listed = loaded
        if failure:
            self.__exit__()
            raise LoadError(str(self._in_words(failure)))
        self.subjects, self._written, self.left, self.remarks, self.imports = listed

    def _read(self, pipe: Any) -> None:
        """Take all that is printed off the pipe, so that printing never blocks, and keep the beginning."""
        utf8 = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
        with pipe:
            while chunk := pipe.read1(1 << 16):
                text = decoder.decode(chunk)
                kept = text[: SHOWN - len(self._text)]
                self._text, self._more = self._text + kept, self._more + len(text) - len(kept)

    def _exchange(self, seconds: float, read: Callable[[bytes], Any], question: Any = None) -> Any:
        """Ask, and give what `read` makes of the answer. Whatever is raised here has ended the process."""
        process = self._process
        assert process and process.stdin and process.stdout
        events = answered, late, full, ended = [threading.Event() for _ in range(4)]
        limits = seconds, self.memory_mb
        watcher = threading.Thread(target=_watch, args=(process, *limits, *events), daemon=True)
        watcher.start()
        try:
            try:
                if question:
                    send(process.stdin, pickle.dumps(question))
                message = receive(cast(IO[bytes], _Until(process.stdout, ended)))
            finally:
                answered.set()
                watcher.join()
            if not late.is_set():
                return read(message)
            failure = _failure(_unpacked(message)[0]["failure"])
            interrupted = failure and failure.exception == "KeyboardInterrupt" and failure.where
            reason = f" It was interrupted {failure.where}" if failure and interrupted else ""
        except (EOFError, OSError):
            reason = "" if late.is_set() else self._how_it_ended()
            if full.is_set():
                reason = f"out of memory: more than {self.memory_mb} MB that processes share"
        except Exception:
            reason = FOREIGN
        except BaseException:  # Ctrl-C
            self.__exit__()
            raise
        self.__exit__()
        if late.is_set():
            raise LateError(f"no answer within {seconds:g} s: a loop without end?{reason}")
        raise ProcessError(reason)

    def _how_it_ended(self) -> str:
        assert self._process
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return CLOSED
        if code < 0:
            return f"the process was ended by signal {-code} ({_SIGNALS.get(-code, '?')})"
        full = self._in_words(Failure(Outcome.RAISED, "", "MemoryError"))
        reasons = {LOST: CLOSED, FULL: str(full)}
        return reasons.get(code, f"the process ended with exit code {code} (sys.exit or os._exit?)")

    def _in_words(self, failure: Failure | None) -> Failure | None:
        if failure and failure.exception in ("MemoryError", "_ArrayMemoryError"):
            what = dataclasses.replace(failure, exception="MemoryError")
            text = f"out of memory: more than {self.memory_mb} MB ({what})"
            return Failure(Outcome.NO_ANSWER, text)
        return failure


class RemoteMender:
    """As repair.Mender, in the process of the student's file."""

    def __init__(self, child: Contained, name: str):
        self.child, self.name, self._seconds = child, name, 0.0

    def first(self, wish: Wish) -> Change | None:
        self._seconds = min(wish.seconds, self.child.mending)
        return self._change(dataclasses.replace(wish, seconds=self._seconds))

    def next(self, most: float = math.inf) -> Change | None:
        return self._change(most)

    def _change(self, wish: Wish | float) -> Change | None:
        if self._seconds <= 0:
            return None
        answer = self.child.mend(self.name, _change, wish, seconds=10 * self._seconds)
        change, left = answer or (None, 0.0)
        self.child.mending -= self._seconds - left
        self._seconds = left
        return cast(Change | None, change)

    def run(self, number: int, case: Case) -> dict[str, Run]:
        runs = self.child.mend(self.name, partial(_runs, case), number, case, seconds=0)
        return runs or _failed("no answer with a change")


def _watch(
    process: subprocess.Popen[bytes],
    seconds: float,
    memory_mb: int,
    answered: threading.Event,
    late: threading.Event,
    full: threading.Event,
    ended: threading.Event,
) -> None:
    """When the time is up interrupt the process, which then answers where it was, or else kill it.

    Memory that processes share is beyond the system's limits: it is looked at from here.
    """
    until = time.monotonic() + seconds
    while not answered.wait(max(0.0, min(0.1, until - time.monotonic()))):
        if _shared_mb(process.pid) > memory_mb:
            full.set()
            _kill(process)
            ended.set()
            return
        if time.monotonic() < until:
            continue
        late.set()
        if os.name == "posix":
            process.send_signal(signal.SIGINT)
        if not answered.wait(1):
            _kill(process)
            ended.set()
        return


def _shared_mb(pid: int) -> int:
    """What Linux says of a process; 0 elsewhere."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("RssShmem:")[1].split()[0]) >> 10
    return 0


class _Until(io.RawIOBase):
    """Reads a pipe until it closes or `ended` is set: a process that got away may hold it open for ever."""

    def __init__(self, pipe: IO[bytes], ended: threading.Event):
        self.pipe, self.ended = pipe, ended

    def read(self, size: int = -1) -> bytes:
        if os.name != "posix":
            return self.pipe.read(size)
        found = b""
        while len(found) < size and not self.ended.is_set():
            if select.select([self.pipe], [], [], 0.2)[0]:
                chunk = os.read(self.pipe.fileno(), min(size - len(found), 1 << 20))
                if not chunk:
                    break
                found += chunk
        return found


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it started; the number of a group that has a member is given to no other."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _plain(text: str) -> str:
    """Printable, and not endless."""
    more = len(text) - LONG
    return printable(text) if more <= 0 else f"{printable(text[:LONG])}... ({more:,} more characters)"


def printable(text: str) -> str:
    """Without what would confuse a terminal or cannot be encoded."""
    return "".join(c if c.isprintable() or c == "\t" else ascii(c)[1:-1] for c in text)


def _unpacked(message: bytes) -> tuple[dict[str, Any], bytes]:
    text, _, data = message.partition(b"\n")
    answer = json.loads(text)
    answer["failure"]  # KeyError if it is nothing of the worker's
    return answer, data


def _failure(told: Any) -> Failure | None:
    if told is None:
        return None
    outcome, *texts = told
    return Failure(Outcome(outcome), *map(_plain, texts))


def _failed(reason: str) -> dict[str, Run]:
    return {"first": Run(failure=Failure(Outcome.NO_ANSWER, reason))}


def _listed(message: bytes) -> tuple[Failure | None, Any]:
    answer, _ = _unpacked(message)
    failure = _failure(answer["failure"])
    if failure:
        return failure, None
    few = answer["subjects"][:MANY]
    subjects = {_plain(name): [KINDS[kind].name for kind in kinds] for name, kinds in few}
    left = {_plain(name): _plain(str(why)) for name, why in list(answer["left"].items())[:MANY]}
    if (more := len(answer["subjects"]) - MANY) > 0:
        left["..."] = f"{more} more, of {MANY + more} classes and functions"
    remarks, imports = (
        [_plain(str(remark)) for remark in answer[name][:MANY]] for name in ("remarks", "imports")
    )
    return None, (subjects, {_plain(name): str(name) for name, _ in few}, left, remarks, imports)


def _taken(message: bytes) -> Taken | None:
    answer, _ = _unpacked(message)
    if answer["failure"]:
        return None
    if answer["why"]:
        return Taken("", why=_plain(str(answer["why"])), fails=bool(answer["fails"]))
    lists: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in answer["offer"].items()}
    elsewhere = tuple(_plain(str(remark)) for remark in answer["elsewhere"][:MANY])
    kind = KINDS[answer["kind"]].name
    return Taken(kind, _plain(str(answer["taken"])), Offer(**lists), elsewhere=elsewhere)


def _change(message: bytes) -> tuple[Change | None, float]:
    answer = _unpacked(message)[0]
    told, left = answer.get("change"), float(answer.get("left", 0.0))
    if not told:
        return None, 0.0
    before, after = ([_plain(str(line)) for line in told[name][:MANY]] for name in ("before", "after"))
    file, place = _plain(str(told["file"])), _plain(str(told["place"]))
    number, line, cost = (int(told[name]) for name in ("number", "line", "cost"))
    return Change(number, file, line, before, after, place, cost), left


def _runs(case: Case, message: bytes) -> dict[str, Run]:
    """Raises whatever comes to hand if this is not what parity.student.worker.pack_runs writes."""
    answer, data = _unpacked(message)
    if failure := _failure(answer["failure"]):
        return {"first": Run(failure=failure)}
    runs, start = {}, 0
    for name, told in answer["runs"].items():
        runs[name] = run = Run(failure=_failure(told["failure"]))
        for stage, tensor, fault, text in told["remarks"]:
            run.remarks[_plain(stage), _plain(tensor)] = Remark(Fault(fault), _plain(text))
        for stage, tensor, dtype, shape in told["arrays"]:
            if np.dtype(dtype).kind not in "fiub":
                raise ValueError(f"an array of dtype {dtype}")
            numbers = np.ndarray(tuple(shape), as_sent(np.dtype(dtype)), data, start)
            run.arrays[_plain(stage), _plain(tensor)] = numbers.astype(dtype)
            start += numbers.nbytes
    if start != len(data):
        raise ValueError(f"{len(data)} bytes, expected {start}")
    expected = [*case.runs, "isolated"] if KINDS[case.kind].role == "model" else [*case.runs]
    if not runs or list(runs) != expected[: len(runs)]:
        raise ValueError(f"runs {list(runs)}, expected {expected}")
    return runs
