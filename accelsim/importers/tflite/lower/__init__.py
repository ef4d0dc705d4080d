"""Lowering functions: one TFLite operator each, or a family of them, to layers."""
