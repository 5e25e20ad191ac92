"""What the library promises, one promise at a time, whatever the call."""
