"""Every port: what the domain and the parts around it need from outside, named by role.

Each port has one adapter per technology and one contract suite (`tests/contract`) that every adapter passes.
"""
