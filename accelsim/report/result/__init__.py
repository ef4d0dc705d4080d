"""A Result as plain text, HTML, and for the terminal; cells and facts are the same in all three."""
