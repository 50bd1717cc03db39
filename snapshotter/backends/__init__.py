"""What the file system under a store offers, and which way of storing was chosen for it."""
