"""The console's own style sheet, script and picture."""
