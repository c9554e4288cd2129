"""Failures of commands: exit codes, and the API's problems in the words of the command line.

The commands and `towpath lock` import it. Start with `exit_codes.py`.
"""
