"""One adapter per port of `domain.ports`: JetStream, SQL, HTTP runners, and in-memory stand-ins."""
