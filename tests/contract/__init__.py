"""The promises of the library, each tested with every call."""
