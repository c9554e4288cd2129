"""What watches a running test from outside and judges it by the published contract."""
