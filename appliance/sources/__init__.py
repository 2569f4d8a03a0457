"""Where events come from, one file a source. A source knows its own protocol: no Bronze, no schedule, no other room."""
