"""Prometheus metrics: one registry per application, refreshed on scrape.

Start with `registry.py`.
"""
