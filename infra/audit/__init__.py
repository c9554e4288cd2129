"""`towpath verify`: reads the whole log as stored bytes and says whether it is what it must be."""
