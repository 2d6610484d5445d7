"""What every room shares: errors, files, flags, pages and constants."""
