"""A shop whose products are Wagtail pages, with a REST API of its own over them."""
