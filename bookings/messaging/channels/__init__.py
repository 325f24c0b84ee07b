"""Ways in which a message travels; the loop in messaging.outbox knows none of them."""
