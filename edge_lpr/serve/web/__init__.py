"""The service's page and interface."""
