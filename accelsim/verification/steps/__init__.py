"""Steps of the ablation: from the oracle's codes to the machine's, one rule at a time."""
