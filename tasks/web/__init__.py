"""What is served over HTTP: free of any framework, with thin ways into it for ``imagechord web``, Flask and Django."""
