"""Pages of the handbook that come from the code: each module writes one."""
