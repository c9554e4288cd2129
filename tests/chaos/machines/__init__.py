"""What machines are made of here: namespaces, disks that forget, networks, restarted processes."""
