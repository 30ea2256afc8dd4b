"""A working world on loopback: a real SSH server and a real chat endpoint, reached as any desktop is."""
