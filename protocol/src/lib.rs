//! What master and slave say to each other; what the API says.
