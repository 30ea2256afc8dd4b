"""The rules, without I/O, clock or randomness: times and ids are arguments, events come out."""
