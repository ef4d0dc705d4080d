"""A VerificationReport as plain text and as a page."""
