"""One module a group of rows: what is measured, against which baseline."""
