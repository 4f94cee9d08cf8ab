"""What a cell will take, told before its weights are read."""
