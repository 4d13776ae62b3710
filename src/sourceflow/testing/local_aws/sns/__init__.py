"""The sns of LocalAws."""
