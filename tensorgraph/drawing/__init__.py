"""Pictures of a graph: pure functions of its nodes."""
