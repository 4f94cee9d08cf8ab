"""Checkpoints of every format, tensor by tensor: headers at first, a block's bytes when it is asked for."""
