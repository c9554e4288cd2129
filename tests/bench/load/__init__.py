"""What a row puts on the system before and while it measures: histories and HTTP requests."""
