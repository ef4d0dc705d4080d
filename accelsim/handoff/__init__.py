"""What hardware people take with them."""
