"""Where everything meets: the App and what starts it."""
