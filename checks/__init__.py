"""Source checks that no other tool makes: old vocabulary, SQL outside `taskcore.db`, sizes. `make check` runs them."""
