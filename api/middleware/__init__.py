"""What every request passes: admission, body limits, host and origin checks, `HEAD`, tracing."""
