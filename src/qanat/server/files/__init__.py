"""Files that users see: a row tells how a stored object is called, typed and whose it is."""
