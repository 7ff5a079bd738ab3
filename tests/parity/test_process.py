"""A student's file may do what it likes: each mishap is one line, and what comes next is still examined."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from parity.record import Failure, Fault, Outcome, Remark, Run
from parity.student.cases import cases_of
from parity.student.process import CLOSED, FOREIGN, NOT_TRIED, Contained, LoadError, _runs
from parity.student.run_case import run_case
from parity.student.worker import MOST, pack_runs, packed

HOUSE = Path(__file__).parents[2]
RELU = cases_of("ReLU", np.random.default_rng(0))
FORWARDS = 7  # of a case: four runs, three of them beside another object
LAYER = """
import ctypes, os, subprocess, sys, threading, time
import numpy as np
import tinycnn_numpy as tn

class ReLU(tn.ReLU):
    def forward(self, x):
        {}
        return super().forward(x)
"""


@pytest.fixture
def ask(tmp_path):
    """ask(*lines) -> the errors of all cases of a ReLU that runs these lines in forward; ask.child stays."""

    def asked(*lines, source=LAYER, cases=RELU, **options):
        file = tmp_path / "student.py"
        file.write_text(source.replace("{}", "\n        ".join(lines)), encoding="utf-8")
        with Contained(file, **options) as child:
            asked.child = child
            runs = [next(iter(runs.values())) for _, runs in child.ask("ReLU", cases)]
            found = [str(run.failure or "") for run in runs]
        assert child._process is None and not child._reader.is_alive()
        return found

    return asked


@pytest.fixture
def load_error(tmp_path):
    def loaded(source, **options):
        file = tmp_path / "student.py"
        file.write_bytes(source if isinstance(source, bytes) else source.encode())
        with pytest.raises(LoadError) as caught, Contained(file, **options):
            pass
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return loaded


def gone(pid):
    """Whether a process has ended; it may still wait to be reaped by whoever adopted it."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_a_good_file_gives_what_it_would_give_here(tmp_path):
    (tmp_path / "beside.py").write_text("import tinycnn_numpy as tn\nclass Dense(tn.Dense): pass\n")
    (tmp_path / "student.py").write_text(
        "import tinycnn_numpy as tn\nfrom tinycnn_numpy import SGD\nfrom beside import Dense\n"
        "from dataclasses import dataclass\n"
        "class ReLU(tn.ReLU): pass\nclass MyPool(tn.MaxPool2D): pass\nclass Linear: pass\nSame = ReLU\n"
        "@dataclass\nclass Settings:\n    lr: float = 0.1\n"
        "if __name__ == '__main__':\n    raise SystemExit('run as a program')\n"
        "print('loaded é')\n",
        encoding="utf-8",
    )
    with Contained(tmp_path / "student.py") as child:
        assert child.subjects == {"Dense": ["Dense"], "ReLU": ["ReLU"], "Linear": ["Dense"]}
        assert child.left == {"MyPool": "extends MaxPool2D under another name"}
        for name, (kind,) in list(child.subjects.items())[:2]:
            for case, runs in child.ask(name, cases_of(kind, np.random.default_rng(1))):
                here = run_case(getattr(__import__("tinycnn_numpy"), kind), case)
                assert list(runs) == list(here)
                for run, other in zip(runs.values(), here.values(), strict=True):
                    assert not run.failure and not run.remarks and list(run.arrays) == list(other.arrays)
                    for key, array in run.arrays.items():
                        assert array.dtype == other.arrays[key].dtype and array.flags.writeable
                        np.testing.assert_array_equal(array, other.arrays[key])
    assert child.printed == "loaded é\n"
    assert not (tmp_path / "__pycache__").exists()


def test_notes_and_skipped_cases_arrive(ask, tmp_path):
    file = tmp_path / "student.py"
    file.write_text(
        "import tinycnn_numpy as tn\n"
        "class SGD(tn.SGD):\n    def __init__(self, parameters, lr): super().__init__(parameters, lr)\n"
        "class ReLU(tn.ReLU):\n    def backward(self, dout): return None\n"
    )
    with Contained(file) as child:
        skipped = [
            runs["first"].failure for _, runs in child.ask("SGD", cases_of("SGD", np.random.default_rng(0)))
        ]
        assert skipped[:2] == [None, Failure(Outcome.NOT_OFFERED, "takes no momentum")]
        _, runs = next(child.ask("ReLU", RELU))
        remark = Remark(Fault.MISSING, "is None, expected a NumPy array")
        assert runs["first"].remarks == {("ReLU", "dx"): remark}


def test_a_file_without_classes(tmp_path):
    (tmp_path / "student.py").write_text("class Helper: pass\nx = 1\n")
    with Contained(tmp_path / "student.py") as child:
        assert child.subjects == {} and child.left == {}


@pytest.mark.parametrize(
    "line, message",
    [
        ("raise ValueError('no')", "ValueError: no in forward, line 8: raise ValueError('no')"),
        ("sys.exit(3)", "SystemExit: 3 in forward, line 8: sys.exit(3)"),
        ("raise NotImplementedError", "not written yet"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt in forward, line 8: raise KeyboardInterrupt"),
        ("os._exit(3)", "the process ended with exit code 3 (sys.exit or os._exit?)"),
        ("ctypes.string_at(0)", "the process was ended by signal 11 (SIGSEGV)"),
        ("os.abort()", "the process was ended by signal 6 (SIGABRT)"),
        ("os.kill(os.getpid(), 40)", "the process was ended by signal 40 (?)"),
        ("os.closerange(3, 256)", CLOSED),
        ("os.closerange(0, 256)", CLOSED),
        ("return np.zeros((3000, 3000))", "gave 274 MB of arrays, expected less than 32 MB"),
    ],
)
def test_one_line_for_every_end(line, message, ask):
    assert ask(line, cases=RELU[:2]) == [message] * 2  # the second from a fresh process


@pytest.mark.parametrize(
    "garbage", ["b'garbage ' * 8", "bytes(64)", "b'\\n' + bytes(7) + b'{\"runs\": 1}\\n'"]
)
def test_garbage_in_every_open_file(garbage, ask):
    lines = ["for fd in range(64):", f"    try: os.write(fd, {garbage})", "    except OSError: pass"]
    assert ask(*lines, cases=RELU[:2]) == [FOREIGN] * 2


def test_an_exception_that_cannot_be_printed(ask):
    lines = ["class Odd(Exception):", "    def __str__(self): raise self", "raise Odd"]
    assert ask(*lines, cases=RELU[:1])[0].startswith(("Odd", "RecursionError"))


def test_recursion_without_end(ask):
    assert "RecursionError: maximum recursion depth exceeded" in ask("self.forward(x)", cases=RELU[:1])[0]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
@pytest.mark.parametrize("line", ["np.ones(10**9)", "while True: x = [x, bytes(10**7)]"])
def test_memory(line, ask):
    first, second = ask(line, cases=RELU[:2], memory_mb=500)
    assert first.startswith("out of memory: more than 500 MB (") and f"in forward, line 8: {line}" in first
    assert second == first


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
def test_memory_that_is_shared_is_limited_too(ask):
    lines = ["import mmap", "self.map = mmap.mmap(-1, 2 << 30)"]
    lines += ["for _ in range(60): self.map.write(bytes(10 << 20))", "time.sleep(9)"]
    (error,) = ask(*lines, cases=RELU[:1], memory_mb=500)
    assert error == "out of memory: more than 500 MB that processes share"


def test_a_loop_without_end_is_found_and_stops_the_class(ask):
    errors = ask("while True: pass", seconds=2)
    where = "a loop without end? It was interrupted in forward, line 8: while True: pass"
    assert errors == [
        f"no answer within 2 s: {where}",
        f"no answer within 1 s: {where}",
        *[NOT_TRIED] * (len(RELU) - 2),
    ]


def test_a_loop_in_one_case_leaves_the_others(ask):
    errors = ask("while x.ndim == 2 and x.shape[1] < 10: pass", seconds=2)
    assert [bool(error) for error in errors] == [False, True, False, False, False, False]


def test_a_loop_that_hears_no_interrupt(ask):
    lines = ["while True:", "    try:", "        time.sleep(1)", "    except BaseException: pass"]
    assert ask(*lines, cases=RELU[:1], seconds=1) == ["no answer within 1 s: a loop without end?"]


@pytest.mark.parametrize(
    "source, message",
    [
        ("x = 1\ndef f(:\n", "SyntaxError: invalid syntax (student.py, line 2) at line 2"),
        (b"\xff\xfe", "SyntaxError: "),
        (b"x = 1\0", "source code string cannot contain null bytes"),
        (
            "import missing\n",
            "ModuleNotFoundError: No module named 'missing' in <module>, line 1: import missing",
        ),
        ("x = 1\nx / 0\n", "ZeroDivisionError: division by zero in <module>, line 2: x / 0"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 in <module>, line 2: sys.exit(3)"),
        ("import os\nos._exit(3)\n", "the process ended with exit code 3 (sys.exit or os._exit?)"),
        ("import os\nos.closerange(0, 256)\n", CLOSED),
        (
            "import os\nfor fd in range(64):\n    try: os.write(fd, bytes(64))\n    except OSError: pass\n",
            FOREIGN,
        ),
        (
            "raise ValueError('two\\nlines \\x1b[31m')\n",
            "ValueError: two lines \\x1b[31m in <module>, line 1: ",
        ),
    ],
)
def test_a_file_that_cannot_be_loaded(source, message, load_error):
    assert message in load_error(source)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(LoadError, match="there is no such file"), Contained(tmp_path / "student.py"):
        pass


def test_a_loop_without_end_at_import(load_error):
    where = "It was interrupted in <module>, line 2: while True: pass"
    assert load_error("x = 1\nwhile True: pass\n", seconds=2) == (
        f"not loaded within 2 s: a loop without end? {where}"
    )


def test_a_flood_of_output(ask):
    assert ask("for _ in range(500): print('x' * 99999)", cases=RELU[:1]) == [""]
    kept, _, more = ask.child.printed.partition("\n... (")
    assert kept == "x" * 2000 and more == f"{500 * 100_000 * FORWARDS - 2000:,} more characters)"
    error = ask("while True: print('x' * 9999)", cases=RELU[:1], seconds=1)[0]
    assert error.startswith("no answer within 1 s: a loop without end?")


def test_odd_output(ask):
    lines = ["os.write(1, b'\\xff\\xc3\\xa9\\r\\n\\x1b[31m')", "print('\\ud800', file=sys.stderr)"]
    assert ask(*lines, cases=RELU[:1]) == [""]
    assert ask.child.printed == "\\xffé\n\\x1b[31m\\ud800\n" * FORWARDS


def test_stdin_is_empty_and_stdout_may_be_replaced(ask):
    lines = ["print(repr(sys.stdin.read()))", "sys.stdout = sys.stderr = sys.stdin = None", "sys.argv[1:]"]
    assert ask(lines[0], cases=RELU[:1]) == [""] and ask.child.printed == "''\n" * FORWARDS
    assert ask(*lines[1:], cases=RELU) == [""] * len(RELU)


def test_processes_and_threads_end_with_it(ask):
    sleep = "print(subprocess.Popen(['sleep', '1000']).pid, flush=True)"
    assert ask(sleep, cases=RELU[:1]) == [""]
    pids = ask.child.printed.split()
    assert len(pids) == FORWARDS and all(gone(pid) for pid in pids)
    assert ask("threading.Thread(target=time.sleep, args=(1000,)).start()", cases=RELU) == [""] * len(RELU)
    assert ask("pid = os.fork()", "print(os.getpid(), flush=True)", cases=RELU[:1]) == [""]
    assert all(gone(pid) for pid in ask.child.printed.split())


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, also in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_it(tmp_path, interruptible):
    (tmp_path / "student.py").write_text(LAYER.replace("{}", "while True: pass"))
    here = threading.main_thread().ident
    timer = threading.Timer(1, signal.pthread_kill, (here, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), Contained(tmp_path / "student.py") as child:
        pid = child._process.pid
        timer.start()
        list(child.ask("ReLU", RELU))
    assert gone(pid)


def test_it_ends_if_this_process_is_killed(tmp_path):
    (tmp_path / "student.py").write_text(LAYER.replace("{}", "while True: pass"))
    program = (
        "import sys; from tests.parity.test_process import RELU, Contained\n"
        "with Contained(sys.argv[1]) as child:\n"
        "    print(child._process.pid, flush=True)\n    list(child.ask('ReLU', RELU))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "student.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HOUSE) as parent:
        pid = int(parent.stdout.readline())
        time.sleep(0.3)
        parent.kill()
    assert gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="counts files in /proc")
def test_nothing_is_left_open(ask):
    def left():
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    ask("pass")
    before = left()
    ask("os._exit(1)")
    ask("while True: pass", seconds=0.5)
    assert left() == before


def test_what_it_says_is_not_trusted():
    case = RELU[0]
    x = np.arange(6.0).reshape(2, 3)
    good = {"first": Run({("ReLU", "out"): x, ("ReLU", "dx"): np.zeros((0, 2))})}
    assert np.array_equal(_runs(case, pack_runs(good))["first"].arrays["ReLU", "out"], x)

    run = {"failure": None, "remarks": [], "arrays": [["ReLU", "out", "<f8", [2, 3]]]}

    def told(dtype="<f8", shape=(2, 3), **changes):
        changed = run | {"arrays": [["ReLU", "out", dtype, shape]]} | changes
        return packed({"failure": None, "runs": {"first": changed}}, [x])

    assert _runs(case, told())
    for message in (
        b"",
        b"[" * 100000,
        b"null\n",
        b'{"failure": 3}\n',
        packed({"failure": None}),
        packed({"failure": None, "runs": {}}),
        packed({"failure": None, "runs": {"isolated": {"failure": None, "remarks": [], "arrays": []}}}),
        told(shape=[7]),
        told(shape=[5]),
        told(shape=[-6]),
        told(shape=[2**40, 2**40]),
        told(shape=6),
        told(shape="6"),
        told() + b"\0",
        told("O"),
        told("<f8,O"),
        told(failure=3),
        told(failure=["raised", 3, "", ""]),
        told(failure=["unheard of", "", "", ""]),
        told(remarks=[["a", "b"]]),
        told(remarks=[["a", "b", "unheard of", ""]]),
        told(arrays=run["arrays"] * 2),
        pack_runs(good)[:-1],
    ):
        with pytest.raises(Exception):  # noqa: B017
            _runs(case, message)
    assert MOST < 2**32


def test_the_worker_imports_no_pytorch(ask):
    assert ask("print([name for name in ('torch', 'scipy') if name in sys.modules])", cases=RELU[:1]) == [""]
    assert ask.child.printed == "[]\n" * FORWARDS


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_a_process_that_got_away_and_holds_the_pipes_does_not_stop_the_check(tmp_path):
    lines = [
        "import signal",
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "if ctypes.CDLL(None).fork() == 0:",
        "    os.setsid(); time.sleep(30); os._exit(0)",
        "while True: pass",
    ]
    file = tmp_path / "student.py"
    file.write_text(LAYER.replace("{}", "\n        ".join(lines)))
    start = time.monotonic()
    with Contained(file, seconds=1) as child:
        (_, runs), *_ = child.ask("ReLU", RELU[:1])
    assert str(runs["first"].failure).startswith("no answer within 1 s")
    assert time.monotonic() - start < 25  # and not until the other one ends


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_a_worker_that_never_gives_a_thread_its_turn_ends_with_the_check(tmp_path):
    file, number = tmp_path / "student.py", tmp_path / "pid"
    line = f"open({str(number)!r}, 'w').write(str(os.getpid())); sum(range(10**14))"
    file.write_text(LAYER.replace("{}", line))
    check = subprocess.Popen([sys.executable, "-m", "parity", "check", str(file)], stdout=subprocess.DEVNULL)
    while not (number.is_file() and number.read_text()):
        time.sleep(0.1)
    check.kill()
    check.wait()
    for _ in range(50):
        time.sleep(0.1)
        if not Path(f"/proc/{number.read_text()}").exists():
            return
    pytest.fail("the worker is still running")
