"""What tests stand on: real servers that start in milliseconds, and waiting with a deadline."""
