"""What V2 alone offers."""
