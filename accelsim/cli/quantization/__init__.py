"""Commands about float networks that are to become integers."""
