"""What was measured, read from the files in this folder.

NAME.json   one measurement: the command, the machine with its versions, the seeds, the values by name
runs.jsonl  finished training runs as examples.seeds keeps them, with the test images that each labels wrong
"""

import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FOLDER = Path(__file__).parent
RUNS = FOLDER / "runs.jsonl"
FACTS = ("command", "machine", "seeds", "values")  # of a measurement


def store(name: str, command: str, machine: dict[str, Any], seeds: str, values: dict[str, Any]) -> Path:
    """Write NAME.json, an entry a line, so that a change is seen as one."""
    facts = {"command": command, "machine": machine, "seeds": seeds}
    lines = [f" {json.dumps(fact)}: {json.dumps(facts[fact])}" for fact in facts]
    entries = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
    path = FOLDER / f"{name}.json"
    path.write_text("{\n" + ",\n".join([*lines, f' "values": {{\n{entries}\n }}']) + "\n}\n", "utf-8")
    return path


@cache
def results() -> SimpleNamespace:
    """All of it by name, results().NAME.VALUE, with what is counted in the tree (see counts)."""
    from examples.common.cli import in_words
    from examples.results.counts import counts
    from examples.results.training_runs import of_runs

    found = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}
    named = {
        name: facts["values"] | facts | {"machine": in_words(facts["machine"])}
        for name, facts in found.items()
    }
    return as_names(named | {"runs": of_runs(RUNS), "counts": counts()})


def as_names(value: Any) -> Any:
    """Dictionaries as objects with attributes, at every depth."""
    if isinstance(value, dict):
        return SimpleNamespace(**{str(name): as_names(inner) for name, inner in value.items()})
    return [as_names(inner) for inner in value] if isinstance(value, list) else value
