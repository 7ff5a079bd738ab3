"""What lets a training run survive: a checkpoint after every epoch, from which --resume goes on bit for bit.

checkpoint.safetensors holds the weights and what the optimiser remembers; in its header stand, as JSON, the
number of this format, the settings, the log of the finished epochs, and a digest of all this, since a flipped
bit would otherwise be read without a word. Files are replaced in one move: at any moment the old or the new
one is there, whole. While a run lasts it has its folder for itself.
"""

import contextlib
import hashlib
import json
import math
import os
import platform
import secrets
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError

from examples.common import processes
from examples.common.cli import Terminated, fail
from examples.common.log import check_log, shown
from parity import load_numpy_state, load_optimizer_state, numpy_state

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 1  # of a checkpoint
FILES = ["checkpoint.safetensors", "metrics.jsonl", "model.safetensors", "training_curves.png"]


@contextlib.contextmanager
def claimed_folder(args):
    """Make --output-dir, and keep other runs out of it until the end; of several processes the first does.

    A folder that holds a run is refused, or as the flags say. So is one in which a run is under way.
    """
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}-{args.backend}-{os.getpid()}"
    args.output_dir = folder = args.output_dir or Path("runs") / stamp
    if processes.RANK != 0:
        yield folder
        return
    with contextlib.ExitStack() as until_the_end:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if locked := lock(folder, until_the_end):
                for path in (path for file in FILES for path in folder.glob(new_name("[0-9a-f]" * 8, file))):
                    path.unlink()  # of a run that was killed
            held = [folder / file for file in FILES if (folder / file).exists()]
            if held and not args.resume and not args.overwrite:
                fail(
                    f"--output-dir {folder} holds a run: add --resume or --overwrite, or name another folder"
                )
            if args.resume and not held:
                say(f"note: there is nothing to resume in {folder}, the run begins there")
            if args.overwrite:
                for path in held:
                    path.unlink()
            (folder / "metrics.jsonl").touch()
        except BlockingIOError:
            fail(f"--output-dir {folder} is in use by another run: wait for its end, or name another folder")
        except OSError as error:
            fail(f"--output-dir {folder} cannot be written: {error.strerror}")
        if not locked:
            say(f"note: {folder} cannot be locked here: start no second run in it")
        yield folder


def lock(folder: Path, until_the_end: contextlib.ExitStack) -> bool:
    """Lock the folder, or raise BlockingIOError if another has; False where there are no such locks.

    The end of a process, however it comes, ends its lock.
    """
    if fcntl is None:
        return False
    number = os.open(folder, os.O_RDONLY)
    until_the_end.callback(os.close, number)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # some network drives
        return False
    return True


def new_name(token: str, file: str) -> str:
    return f"new-{token}-{file}"


@contextlib.contextmanager
def replacing(path: Path):
    """A new file beside `path` to write to; it replaces `path` in one move, or not at all."""
    beside = path.with_name(new_name(secrets.token_hex(4), path.name))
    try:
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield beside
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)
        raise


class Checkpoint:
    """The state of one run in `folder`, which the first process alone writes.

    recipe: the settings that make the run what it is, JSON values; with another one it cannot be resumed.
    """

    def __init__(self, folder: Path, recipe: dict):
        self.path, self.metrics, self.recipe = folder / FILES[0], folder / FILES[1], recipe
        self.machine = {
            "processes": processes.COUNT,
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": str(torch.__version__),
        }

    def save(self, log: list[dict], model, optimizer) -> None:
        """Keep the state after the epochs of `log`, and the log itself in metrics.jsonl.

        Raises FloatingPointError, and keeps nothing, if the loss or a weight is not finite.
        """
        check_loss(log[-1]["train_loss"], f"epoch {log[-1]['epoch']}", self.recipe["lr"])
        if processes.RANK != 0:
            return
        tensors = {f"model.{name}": array for name, array in numpy_state(model).items()}
        if not all(np.isfinite(array).all() for array in tensors.values()):
            check_loss(math.nan, f"the first step after epoch {len(log)}", self.recipe["lr"])
        tensors |= {f"optimizer.{name}": array for name, array in numpy_state(optimizer).items()}
        facts = {"format": FORMAT, "recipe": self.recipe, "machine": self.machine, "log": log}
        text = json.dumps(facts)
        state = f"{digest(tensors, text)} {text}"
        with replacing(self.path) as path:
            path.write_bytes(safetensors.numpy.save(tensors, {"state": state}))
        self.write_metrics(log)

    def load(self, model, optimizer, epochs: int) -> list[dict]:
        """Put model and optimiser where the last save left them; return its log, [] if nothing was saved.

        A checkpoint that is damaged, foreign or of another run ends the program before anything is loaded.
        """
        if not self.path.exists():
            return []
        tensors, state = self.read()
        recipe = {"schedule": "constant"} | state["recipe"]  # the one of runs that do not name it
        for name, value in self.recipe.items():
            if (had := recipe.get(name)) != value:
                fail(f"--resume: {self.path} is of a run with {name} {had}, and not {value}")
        if (done := len(state["log"])) > epochs:
            fail(f"--epochs {epochs} with --resume: the run in {self.path.parent} has {done} behind it")
        for name, value in self.machine.items():
            if (had := state["machine"].get(name)) != value:
                say(f"note: {name} was {had} and is {value} now: results may differ in the last bits")
        parts: dict[str, dict[str, np.ndarray]] = {"model": {}, "optimizer": {}}
        try:
            for name, array in tensors.items():
                part, _, rest = name.partition(".")
                if part not in parts:
                    raise ValueError(
                        f"unexpected {name}, expected names that begin with model. or optimizer."
                    )
                parts[part][rest] = array
            if state["log"] and not parts["optimizer"]:
                raise ValueError("it holds nothing of the optimiser")
            load_numpy_state(model, parts["model"])
            load_optimizer_state(optimizer, parts["optimizer"])
        except ValueError as error:
            fail(f"{self.path} does not fit: {error}")
        if processes.RANK == 0:
            self.write_metrics(state["log"])  # a kill may have come between checkpoint and metrics
        return state["log"]

    def read(self) -> tuple[dict[str, np.ndarray], dict]:
        """The tensors by name, and what the header says. What is not whole ends the program in one line."""
        try:
            content = self.path.read_bytes()
            tensors = safetensors.numpy.load(content)
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            promised, text = header["__metadata__"]["state"].split(" ", 1)
            state = json.loads(text)
        except OSError as error:
            fail(f"{self.path} cannot be read: {error.strerror}")
        except (SafetensorError, ValueError, LookupError, RecursionError) as error:
            fail(f"{self.path} is not a whole checkpoint ({error}): begin anew with --overwrite")
        if digest(tensors, text) != promised:
            fail(f"{self.path} is damaged, its digest is wrong: begin anew with --overwrite")
        try:
            check_state(state)
        except ValueError as error:
            fail(f"{self.path} is none of this program's checkpoints: {error}")
        return tensors, state

    def write_metrics(self, log: list[dict]) -> None:
        with replacing(self.metrics) as path:
            path.write_text(
                "".join(json.dumps(entry | self.recipe) + "\n" for entry in log), encoding="utf-8"
            )


def check_state(state: Any) -> None:
    """Raise ValueError unless this is what `save` writes into the header."""
    found = state.get("format") if isinstance(state, dict) else state
    if found != FORMAT or isinstance(found, bool):
        raise ValueError(f"its format is {shown(found)}, expected {FORMAT}")
    for name in ("recipe", "machine"):
        if not isinstance(state.get(name), dict):
            raise ValueError(f"{name} is {shown(state.get(name))}, expected settings by name")
    check_log(state.get("log"))


def digest(tensors: dict[str, np.ndarray], text: str) -> str:
    sha256 = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        sha256.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        sha256.update(tensors[name].tobytes())
    return sha256.hexdigest()


class StopAtNaN:
    """A loss function that raises FloatingPointError at the first loss that is not finite.

    For the CPU: on a GPU the question alone would make every step wait for the one before.
    """

    def __init__(self, loss_fn, optimizer, lr: float):
        self.loss_fn, self.optimizer, self.lr, self.step = loss_fn, optimizer, lr, 0

    def __call__(self, logits, labels):
        loss = self.loss_fn(logits, labels)
        self.step += 1
        if not math.isfinite(loss.item()):
            before = self.optimizer if self.step > 1 else None
            check_loss(loss.item(), f"step {self.step} of this start", self.lr, before)
        return loss

    def backward(self):
        return self.loss_fn.backward()


def check_loss(loss: float, where: str, lr: float, optimizer=None) -> None:
    """Raise FloatingPointError, which says where and how large the gradients were, unless it is finite."""
    if math.isfinite(loss):
        return
    what = f"the loss is {loss} in {where}, learning rate {lr:g}"
    if optimizer is not None:
        groups = getattr(optimizer, "param_groups", None) or [{"params": optimizer.parameters}]
        largest = max(float(abs(p.grad).max()) for group in groups for p in group["params"])
        what += f", largest gradient before it {largest:.3g}"
    raise FloatingPointError(what)


@contextlib.contextmanager
def what_can_go_wrong(args, parser):
    """Say in one line what ends a run early, and how to go on with it.

    Whichever process sees it says so. Exit code 3 if the loss is not finite, else 2.
    """

    def kept(words: str) -> str:
        return words if args.output_dir and (args.output_dir / FILES[0]).exists() else ""

    try:
        with np.errstate(over="ignore", invalid="ignore"):  # the loss tells
            yield
    except KeyboardInterrupt as interrupt:
        kind = "terminated" if isinstance(interrupt, Terminated) else "interrupted"
        if args.output_dir:
            epochs = kept("the finished epochs are kept") or "no epoch was finished"
            say(f"{kind}; {epochs}, go on with\n  {resume_command(args, parser)}")
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        path = error.filename or "the standard output"
        intact = kept("; the last checkpoint is intact")
        fail(f"{path} cannot be written: {error.strerror}{intact}", all_say_so=True)
    except FloatingPointError as error:
        intact = kept("; the last checkpoint is intact")
        fail(f"{error}: begin anew with a smaller --lr{intact}", 3, all_say_so=True)
    except (MemoryError, RuntimeError) as error:
        words = str(error).lower()
        known = ("out of memory", "alloc", "could not create a primitive")  # the last from oneDNN
        if not isinstance(error, MemoryError) and not any(word in words for word in known):
            raise
        less = max(1, args.batch_size // 2)
        what = f"out of memory with --batch-size {args.batch_size}: try --batch-size {less}"
        fail(what, all_say_so=True)


def resume_command(args, parser) -> str:
    """The command line that goes on with this run: what was given, and --resume."""
    command = [sys.executable, "-m"]
    if processes.COUNT > 1:
        command += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes.COUNT}", "-m"]
    command.append("examples.train_mnist")
    for name, value in (vars(args) | {"resume": True, "overwrite": False}).items():
        if value != parser.get_default(name):
            command += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(command)


def say(line: str) -> None:
    if processes.RANK == 0:
        print(line, file=sys.stderr, flush=True)
