"""What commands are given: shared options, positions in the log, advice on mistakes."""
