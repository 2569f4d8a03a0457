"""HTTP: one controller a noun. It reads the request, calls one service and writes the answer; it decides nothing."""
