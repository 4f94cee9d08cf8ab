"""One cell: a model is fine-tuned, its behavior probed, its weights decomposed."""
