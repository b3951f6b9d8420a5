"""Edges that answer browsers and programs: translate, open the transaction, call a service, answer."""
