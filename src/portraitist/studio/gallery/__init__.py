"""The member's pictures as a collection: pages, search, albums, downloads of many."""
