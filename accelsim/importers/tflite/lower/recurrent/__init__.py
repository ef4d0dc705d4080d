"""Operators that keep a state of their own from inference to inference, in variable tensors of the file."""
