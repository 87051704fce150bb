//! All that touches git: sources, watching, fetching, admission, candidates, landing.
