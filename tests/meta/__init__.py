"""Tests about the project itself: code, manual and rules agree."""
