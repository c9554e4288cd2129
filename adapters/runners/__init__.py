"""The control plane's side of runners: submissions to them, heartbeats and output from them.

Start with `submission.py`. It may import `adapters/nats` and the codec of `adapters/event_store`; only
`infra` imports it.
"""
