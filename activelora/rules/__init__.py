"""What may stand together: rules between settings, checked where a file is read, and never on a frozen campaign."""
