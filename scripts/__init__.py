"""Programs behind the Makefile."""
