"""Ingest: reads study.yaml, the tables and the images of a study folder, and makes the index.

Everything a study holds enters through this package: it is checked, put into one spelling and stripped of identity
here, so that no later stage has to.
"""
