"""Pure decisions and the types they are made of: no I/O, no clock of its own, no other room of the house."""
