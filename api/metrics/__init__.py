"""Prometheus metrics: one registry per application, refreshed on scrape.

Start with `registry.py`. Routes and reports count here; it reads `api/queries/figures`.
"""
