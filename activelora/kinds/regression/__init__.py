"""A number on a grid."""
