"""Programs that a person runs: python -m examples.<name>. Data, figures and the command line live here, nowhere else."""
