"""What every page of the console stands on: the mount, the page itself, live values, actions."""
