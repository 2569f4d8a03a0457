"""The way out: the only room that opens connections to other machines, and the rules of where they may go."""
