"""What V1 does otherwise than V2."""
