"""Logging and OpenTelemetry traces."""
