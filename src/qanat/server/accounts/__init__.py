"""Who uses the platform: Django's own users and groups, and the first administrator."""
