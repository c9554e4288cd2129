"""Small HTTP servers beside the product: push runners, proxies, servers that misbehave."""
