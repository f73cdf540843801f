"""Exports of labelling tools."""
