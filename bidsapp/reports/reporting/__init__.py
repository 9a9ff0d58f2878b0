"""The submission pack of a group run: reporting guidelines filled from its files."""
