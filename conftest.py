"""Shared by `tests` and `stance_tests`; the plugin itself comes through its entry point."""

pytest_plugins = ["pytester"]
