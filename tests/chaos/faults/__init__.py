"""What breaks the system: crashes, cuts, lost messages, power cuts, planted bugs."""
