"""Who may do what: every operation, found in the routes, asked in the name of everybody (wire contract, section 3)."""
