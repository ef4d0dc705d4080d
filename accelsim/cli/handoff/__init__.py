"""Commands for who builds the hardware."""
