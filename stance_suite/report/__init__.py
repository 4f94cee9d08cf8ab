"""Findings to HTML, Markdown, XML, SVG and text, from the schema alone."""
