"""What commands share: the group, options, inputs, output files, the console."""
