"""Cases by family, and what PyTorch gave for each."""
