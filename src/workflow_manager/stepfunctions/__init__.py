"""The seam to what executes state machines: the Step Functions API, typed."""
