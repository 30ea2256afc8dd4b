"""One module for each kind of agent endpoint: it builds a request and parses the answer, without I/O."""
