"""The runner's tie to the control plane: heartbeats and the lease they renew, and the events it follows."""
