"""Student files are material, not tests: pytest reads none of them, only the test_*.py beside this file."""

collect_ignore_glob = [
    "wild*/*",
    "right/*",
    "right2/*",
    "right4/*",
    "plain/*",
    "measure*.py",
    "verify_*.py",
    "unseen_cases.py",
]
