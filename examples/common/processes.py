"""The processes of one run: as many as torchrun started, or this one alone.

torchrun --standalone --nproc-per-node=2 -m examples.train_mnist --device cpu
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Client, Listener
from typing import Any

import numpy as np

from examples.common.cli import fail


def rank_and_count(environment: Mapping[str, str]) -> tuple[int, int]:
    """This process's number and how many there are, as torchrun says: 0 and 1 without it.

    Anything that cannot be ends the program in one line.
    """
    count = environment.get("WORLD_SIZE", "1")
    rank = environment.get("RANK", "0" if count == "1" else "")
    if not is_decimal(count) or int(count) < 1:
        fail(f"WORLD_SIZE is {count!r}, expected a whole number >= 1, as torchrun sets it", all_say_so=True)
    if not is_decimal(rank) or int(rank) >= int(count):
        expected = f"expected a whole number from 0 to WORLD_SIZE - 1 = {int(count) - 1}, as torchrun sets it"
        fail(f"RANK is {rank!r}, {expected}" if rank else f"RANK is not set, {expected}", all_say_so=True)
    return int(rank), int(count)


def is_decimal(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


RANK, COUNT = rank_and_count(os.environ)
PARENT = os.getppid()


def end_with_the_launcher() -> None:
    """End this process when torchrun has ended, which cannot tell it if it was killed."""

    def watch():
        while os.getppid() == PARENT:
            time.sleep(0.5)
        with contextlib.suppress(OSError):
            if RANK == 0:
                print("error: torchrun has ended, and so does its run", file=sys.stderr, flush=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def others_may_end():
    """A process that ends has said why; those that talk to it end without a word."""
    try:
        yield
    except (EOFError, ConnectionError):
        raise SystemExit(1) from None


class Processes:
    """How the processes of this machine talk; one alone says nothing.

    PyTorch's gradients travel by torch.distributed (nccl between GPUs, else gloo). NumPy's go to the first
    process, which adds them up and sends back the sum, through pipes: while gloo waits it keeps a core busy,
    and a sum took it 2 to 4 ms between two steps on two cores, where the pipes take 0.2 ms.
    """

    def __init__(self, device: str):
        self.device = device
        self.pipes: list[Any] = []
        if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun's
            end_with_the_launcher()
        if COUNT == 1:
            return
        from torch import cuda, distributed

        if device.startswith("cuda"):
            cuda.set_device(device)
        try:
            distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            fail(f"the {COUNT} processes cannot meet, start them with torchrun: {reason}", all_say_so=True)
        listener = Listener() if RANK == 0 else None
        addresses: list[Any] = [listener.address if listener else None]
        distributed.broadcast_object_list(addresses)
        for rank in range(1, COUNT):  # in this order, so that sums are taken in this order
            distributed.barrier()
            if listener:
                self.pipes.append(listener.accept())
            elif rank == RANK:
                self.pipes.append(Client(addresses[0]))

    def all_reduce(self, array: np.ndarray) -> None:
        """Replace `array` by its sum over all processes, in each of them."""
        with others_may_end():
            if RANK > 0:
                self.pipes[0].send_bytes(array)
                self.pipes[0].recv_bytes_into(array)
                return
            theirs = np.empty_like(array)
            for pipe in self.pipes:
                pipe.recv_bytes_into(theirs)
                array += theirs
            for pipe in self.pipes:
                pipe.send_bytes(array)

    def mean(self, value: float, weight: float = 1.0) -> float:
        """The mean over all processes of `value`, each with its weight; the same in every process."""
        sums = np.array([weight * value, weight])
        self.all_reduce(sums)
        return float(sums[0] / sums[1])

    def broadcast(self, word: str = "") -> str:
        """The word of the first process, in each of them; the others wait for it."""
        if RANK > 0:
            with others_may_end():
                return self.pipes[0].recv_bytes().decode()
        with others_may_end():
            for pipe in self.pipes:
                pipe.send_bytes(word.encode())
        return word

    def end(self) -> None:
        if COUNT > 1:
            from torch import distributed

            distributed.destroy_process_group()
