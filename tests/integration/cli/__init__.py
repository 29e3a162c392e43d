"""The real ``imagechord`` process, in a folder of its own."""
