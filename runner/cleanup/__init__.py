"""Removal of what jobs leave behind: their directories, however deep, wide or oddly named."""
