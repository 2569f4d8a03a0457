"""Makes the handbook out of ``docs/``: the site in the binary and in ``dist/``, its search index, the PDF.

Runs where the product is built, and in a checkout when somebody asks for ``/docs``; nothing of it is in the binary.
"""
