"""Name the mistake behind a wrong tensor."""
