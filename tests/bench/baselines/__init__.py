"""What rows are compared with: the plainest program that does the same work."""
