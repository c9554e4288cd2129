"""The commands of `towpath`, one file per group."""
