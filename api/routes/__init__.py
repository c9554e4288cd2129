"""HTTP routes, one file per resource: what is asked, who may ask, which status answers."""
