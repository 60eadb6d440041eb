"""The paper regenerated: its tables beside the printed numbers."""
