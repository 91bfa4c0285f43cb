"""Create aggregates, apply events to them, look at them, verify them.

An aggregate is one thing that events happen to: an order, an aircraft, a person. It has a type and an id.
"""
