"""The V2 API: ``common`` bound to its forms, and the endpoints that V1 does not have."""
