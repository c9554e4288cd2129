"""What a run drives: one machine or three, behind one harness."""
