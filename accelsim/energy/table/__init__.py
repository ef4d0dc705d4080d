"""What an energy table is: its entries with unit, size law, source and range; how one is read, scaled and named."""
