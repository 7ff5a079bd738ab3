"""Programs that a person runs: python -m examples.<name>. Data, figures and flags live here alone."""
