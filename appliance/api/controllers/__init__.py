"""One controller a noun: read the request, call one service, write the answer."""
