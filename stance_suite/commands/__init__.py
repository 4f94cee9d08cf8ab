"""The commands of the command line, each a function; `stance_suite.cli` puts them together."""
