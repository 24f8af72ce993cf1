"""Stock workers seen by the engine, in virtual time: what they are told, and what is believed of what they say."""
