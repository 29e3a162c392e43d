"""What people look at and machines read afterwards: the contact sheet and the manifest."""
