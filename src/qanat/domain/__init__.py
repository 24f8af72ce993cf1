"""The rules of Qanat as pure functions and tables: no framework, no files, no clock."""
