"""What a lowering raises when it will not have a form of an operator."""

from __future__ import annotations


class RefusalError(Exception):
    """A form of an operator that is not accepted: why, and what is; the driver adds operator and tensor names."""

    def __init__(self, reason: str, accepted: str) -> None:
        super().__init__(reason)
        self.reason, self.accepted = reason, accepted
