"""The same 100 pictures, killed in the middle: a plain script, a stock Celery chord, and imagechord."""
