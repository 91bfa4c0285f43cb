"""Write a domain's history in the formats of others."""
