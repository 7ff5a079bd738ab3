"""Starts train_mnist several times at once, in forks of this process, which has imported everything.

python tests/support/race.py FOLDER WRITERS TRIALS: WRITERS is JSON, for each run its seed and its flags.
Prints for each trial, in FOLDER/0, FOLDER/1 and so on, a line of JSON: the exit codes, what each run wrote to
stderr, every epoch that was saved as [seed, epoch] in the order in which they were, how often the checkpoint
was read meanwhile, and how often what was read was not whole.
"""

import json
import os
import random
import sys
import time
from pathlib import Path

import torch

from examples import train_mnist
from examples.common import checkpoint as checkpoints
from examples.common import cli, data


def few_digits():
    whole = data.load_digits()
    return data.Dataset(
        "digits", whole.train_images[:260], whole.train_labels[:260], whole.test_images, whole.test_labels
    )


def run(folder, flags, seed, journal, err):
    """One run, in a fork; every epoch that it has saved becomes a line of the journal."""
    os.dup2(os.open(err, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    save = checkpoints.Checkpoint.save

    def save_and_tell(self, log, *more):
        save(self, log, *more)
        os.write(journal, f"[{seed}, {log[-1]['epoch']}]\n".encode())

    checkpoints.Checkpoint.save = save_and_tell
    arguments = f"--dataset digits --backend numpy --quiet --seed {seed} --output-dir {folder} {flags}"
    time.sleep(random.choice([0, random.uniform(0, 0.05), random.uniform(0, 0.5)]))
    cli.run(lambda: train_mnist.main(arguments.split()))


def whole(path) -> bool:
    try:
        checkpoints.Checkpoint(path.parent, {}).read()
    except SystemExit:
        return not path.exists()  # it was removed between question and answer
    return True


def trial(folder, writers) -> dict:
    folder.mkdir(exist_ok=True)
    journal = os.open(folder / "journal", os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_RDWR)
    children, codes = {}, {}
    for i, (seed, flags) in enumerate(writers):
        if (pid := os.fork()) == 0:
            run(folder / "run", flags, seed, journal, folder / f"err-{i}")
        children[pid] = i
    path, reads, torn = folder / "run" / "checkpoint.safetensors", 0, 0
    while len(codes) < len(children):
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            codes[children[pid]] = os.waitstatus_to_exitcode(status)
        elif path.exists():
            reads, torn = reads + 1, torn + (not whole(path))
        time.sleep(0.002)
    os.close(journal)
    return {
        "codes": [codes[i] for i in range(len(writers))],
        "said": [(folder / f"err-{i}").read_text() for i in range(len(writers))],
        "saved": [json.loads(line) for line in (folder / "journal").read_text().splitlines()],
        "reads": reads,
        "torn": torn,
    }


def main() -> None:
    folder, writers, trials = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
    digits = few_digits()
    data.load_digits = lambda: digits
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what a reader says of a torn file
    for i in range(trials):
        print(json.dumps(trial(folder / str(i), writers)), flush=True)


if __name__ == "__main__":
    main()
