"""The card that the ``preview`` provider draws in place of a bought picture."""
