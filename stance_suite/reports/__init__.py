"""Rendering findings: nothing here measures or judges, and everything rebuilds from the findings file alone."""
