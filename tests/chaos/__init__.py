"""One batch under fire: killed workers, a broker that forgets, bad answers; then the books are compared."""
