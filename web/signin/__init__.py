"""Who may come in, and what each may do: roles, sessions, the sign-in page, the audit log."""
