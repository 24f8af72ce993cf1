"""The catastrophe models that workers run: identity, settings, versions, chunking and scaling."""
