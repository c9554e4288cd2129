"""Tasks: creating, listing, explaining, commands for one or many, their attempts, output and questions."""
