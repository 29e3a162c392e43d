"""What is done with picture bytes: checked, brought to the asked size, made into thumbnails. Pillow lives here."""
