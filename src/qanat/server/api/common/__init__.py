"""What both versions of the API offer with the same verb: one endpoint class each; a version binds it to its form."""
