"""Where data lies: adapters of the store ports, each in a room of its own. None knows another or the engine."""
