"""SQL that is generated: one expression tree, quoted identifiers, bound values; the dialects differ in a few functions.

Fixed SQL does not belong here, nor does anything that runs a statement.
"""
