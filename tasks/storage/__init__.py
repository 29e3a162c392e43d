"""Staging and public storage: a local folder, or S3."""
