"""Real servers that tests start in milliseconds, and what is put in front of them."""
