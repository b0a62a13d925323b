"""The report one hands in: tables, figures, methods, HTML and PDF."""
