-- What follows in this transaction belongs to a role. Parameters: {role}, or none.
set local role {role}
