"""Backups of an appliance: taking them while it receives, proving them, and bringing them back.

What belongs here: which files, in which order, and what must hold between them. What does not: how objects are stored
(``storage.backup``), and who may ask (``services.backups``). Compose's hand: it names stores.

Order, so that what is restored is a state that the appliance could have been in: rows first, the control plane then,
events last. Rows are never ahead of the events that they come from; what they are behind is refined again at the next
start, as after every crash.
"""
