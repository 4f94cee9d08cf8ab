"""What was measured, on disk or in a bucket: cells and findings, whole or not at all."""
