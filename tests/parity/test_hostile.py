"""A hundred files that crash, deceive, flood or never end: each gets a valid and honest result of its own.

A dozen run with the other tests, all of them under `-m slow`.
"""

import json
import os
import time
from pathlib import Path

import pytest

from parity.__main__ import main

RIGHT = """
class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask
    def backward(self, dout):
        return dout * self.mask
"""
WRONG = RIGHT.replace("return dout * self.mask", "return dout")
IMPORTS = (
    "import ctypes, os, signal, subprocess, sys, threading, time, atexit, gc, inspect\nimport numpy as np\n"
)
AT_IMPORT = {  # a line that a file runs when it is loaded, around a wrong class
    "exit": "sys.exit(0)",
    "os_exit": "os._exit(0)",
    "segfault": "ctypes.string_at(0)",
    "abort": "os.abort()",
    "kill": "os.kill(os.getpid(), 9)",
    "loop": "while True: pass",
    "deaf_loop": "signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "sleep": "time.sleep(1000)",
    "memory": "x = bytearray(10**11)",
    "recursion": "def f(): return f()\nf()",
    "flood": "for _ in range(2000): print('x' * 9999)",
    "escapes": "print('\\x1b[2J\\x1b]0;title\\x07' * 50)",
    "nul": "print('\\0' * 1000, flush=True)",
    "forge": "os.write(1, (12).to_bytes(8, 'little') + b'{\"failure\":0}')",
    "forge_all": "[os.write(fd, b'x' * 64) for fd in range(3, 30) if os.path.exists(f'/proc/self/fd/{fd}')]",
    "close": "os.closerange(0, 200)",
    "close_some": "os.closerange(3, 200)",
    "fork": "os.fork()",
    "fork_and_wait": "pid = os.fork()\nif not pid: time.sleep(3)",
    "setsid": "if not os.fork():\n    os.setsid(); time.sleep(3); os._exit(0)",
    "popen": "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3)'])",
    "thread": "threading.Thread(target=lambda: time.sleep(1000)).start()",
    "atexit": "atexit.register(os._exit, 0)",
    "sigterm": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "stop": "os.kill(os.getpid(), signal.SIGSTOP)",
    "chdir": "os.chdir('/')",
    "argv": "sys.argv[:] = []",
    "modules": "sys.modules.clear()",
    "path": "sys.path[:] = []",
    "meta_path": "sys.meta_path[:] = []",
    "stdout": "sys.stdout = sys.stderr = None",
    "close_stdout": "sys.stdout.close()",
    "builtins": "import builtins; builtins.isinstance = lambda *a: True",
    "open": "import builtins; builtins.open = None",
    "errstate": "np.seterr(all='raise')",
    "gc": "gc.disable()",
    "settrace": "sys.settrace(lambda *a: None)",
    "excepthook": "sys.excepthook = None",
    "warnings": "import warnings; warnings.simplefilter('error')",
    "rlimit": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
    "umask": "os.umask(0o777)",
    "environ": "os.environ.clear()",
    "raise_base": "raise BaseException('no')",
    "raise_own": "class E(BaseException):\n    def __str__(self): raise self\nraise E()",
    "raise_group": "raise BaseExceptionGroup('many', [KeyboardInterrupt()])",
    "raise_interrupt": "raise KeyboardInterrupt",
    "raise_not_offered": "from parity.record import NotOfferedError\nraise NotOfferedError('nothing')",
    "raise_not_written": "raise NotImplementedError",
}
DECEIT = {  # wrong classes that try to be found right
    "run_case": "import tinycnn_numpy as tn\nm = sys.modules['__main__']\nold = m.run_case\n"
    "m.run_case = lambda cls, case: old(getattr(tn, case.kind), case)",
    "run_stages": "import parity.student.run_case as r, tinycnn_numpy as tn\nold = r.run_stages\n"
    "r.run_stages = lambda model, stages, *a, **k: old(tn.ReLU(), {'ReLU': tn.ReLU()}, *a, **k)",
    "keep": "from parity.record import Run\nRun.keep = lambda self, key, value, number=None: None",
    "code": "from parity import record\nrecord.run_stages.__code__ = (lambda *a, **k: None).__code__",
    "pack": "m = sys.modules['__main__']\nm.pack_runs = lambda runs: b'{}'",
    "array_equal": "np.array_equal = lambda *a, **k: True",
    "equal_numbers": "class A(np.ndarray):\n    def __eq__(self, o): return True",
}
LAYERS = {  # classes whose methods misbehave
    "returns_self": "return self",
    "returns_none": "return None",
    "returns_object": "return np.array([object()])",
    "returns_string": "return 'x'",
    "returns_huge": "return np.zeros((4000, 4000))",
    "returns_nan": "return x * np.nan",
    "returns_masked": "return np.ma.masked_array(x, mask=x > 0)",
    "returns_matrix": "return np.matrix(x.reshape(len(x), -1))",
    "returns_complex": "return x + 0j",
    "returns_view": "x[...] = 0\n        return x",
    "returns_liar": "class A(np.ndarray):\n            def __array__(self, *a, **k): return np.zeros(3)\n"
    "        return x.view(A)",
    "returns_later": "self.out = x * 1\n        threading.Timer(0.01, lambda: self.out.fill(7)).start()\n"
    "        return self.out",
    "loops": "while True: pass",
    "exits": "sys.exit(0)",
    "kills": "os.kill(os.getpid(), 9)",
    "recurses": "return self.forward(x)",
    "forks": "os.fork()\n        return x",
    "prints": "print('\\x1b[31m' * 10**6)\n        return x",
    "deletes": "del self.__class__\n        return x",
    "raises_long": "raise ValueError('x' * 10**7)",
    "raises_escape": "raise ValueError('\\x1b[2J')",
    "swaps_class": "self.__class__ = int\n        return x",
    "allocates": "self.x = [bytes(10**8) for _ in range(1000)]\n        return x",
}
NOT_PYTHON = {
    "empty": b"",
    "spaces": b"   \n\n",
    "bom": "\ufeff".encode() + b"x = 1\n",
    "latin": b"x = '\xe9'\n",
    "nul_bytes": b"x = 1\0\n",
    "python2": b"print 'hello'\n",
    "unclosed": b"class ReLU(:\n",
    "deep": b"x = " + b"(" * 300 + b")" * 300 + b"\n",
    "very_deep": b"x = " + b"-" * 100_000 + b"1\n",
    "ten_megabytes": b"# " + b"x" * 10_000_000 + b"\n",
    "many_classes": b"".join(b"class ReLU%d:\n    def forward(self, x): return x\n" % i for i in range(300)),
    "long_name": b"class ReLU" + b"9" * 5000 + b":\n    def forward(self, x): return x\n",
    "zip": b"PK\x03\x04" + bytes(100),
    "escape_name": "class ReLU\u202e: pass\n".encode(),
    "tabs": b"class ReLU:\n\tdef forward(self, x):\n        return x\n",
}
FILES: dict[str, bytes] = {
    **{f"import_{name}": f"{IMPORTS}{line}\n{WRONG}".encode() for name, line in AT_IMPORT.items()},
    **{f"deceit_{name}": f"{IMPORTS}{line}\n{WRONG}".encode() for name, line in DECEIT.items()},
    **{
        f"layer_{name}": f"{IMPORTS}\nclass ReLU:\n    def forward(self, x):\n        {body}\n"
        "    def backward(self, dout):\n        return dout\n".encode()
        for name, body in LAYERS.items()
    },
    **{f"text_{name}": text for name, text in NOT_PYTHON.items()},
    **{
        f"right_{name}": f"{IMPORTS}{AT_IMPORT[name]}\n{RIGHT}".encode()
        for name in ("atexit", "sigterm", "chdir", "thread", "flood", "umask", "gc", "environ")
    },
}
QUICK = {"import_forge", "deceit_run_case", "deceit_keep", "deceit_code", "layer_kills",
         "layer_returns_liar", "text_bom", "text_very_deep", "right_atexit"}  # fmt: skip


def test_there_are_a_hundred():
    assert len(FILES) >= 100


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FILES]
)
def test_its_result_is_valid_honest_and_its_own(name, tmp_path, capsys):
    file, results = tmp_path / f"{name}.py", tmp_path / "results.json"
    file.write_bytes(FILES[name])
    results.write_text('{"score": 10, "of": "the student before"}')
    start = time.monotonic()
    code = main(["check", str(file), "--json", str(results), "--seconds", "2", "--total", "40"])
    took, printed = time.monotonic() - start, capsys.readouterr()
    result = json.loads(results.read_text())
    assert result["title"] == f"{name}.py against PyTorch"
    assert results.stat().st_size < 1_000_000 and all(c.isprintable() or c in "\n\t" for c in printed.out)
    right = name.startswith("right_")
    assert code == (0 if right else 1) and result["ok"] is right
    assert result["score"] == 10 if right else 0 <= result["score"] < 10
    assert took < 100  # --total, and what it takes to load and to end; not a measurement
    assert left_behind(str(file)) == []


def left_behind(file):
    """The processes that still have the file among their arguments."""
    for _ in range(50):
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except (OSError, IndexError):
                continue
            if file.encode() in line and state != "Z" and int(folder.name) != os.getpid():
                found.append(folder.name)
        if not found:
            return []
        time.sleep(0.1)
    return found
