"""What the programs, lessons and the audit compute: no flags, no printing."""
