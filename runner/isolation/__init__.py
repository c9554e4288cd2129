"""What keeps a job apart from its host: user, cgroup, Landlock and system-call filter."""
