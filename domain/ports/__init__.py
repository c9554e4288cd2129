"""What the domain and the parts around it need from outside, named by role.

Each port has one adapter per technology and one contract suite that every adapter passes.
"""
