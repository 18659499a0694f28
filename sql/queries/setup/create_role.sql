-- Make a role that may log in. Parameters: {role}, {password}: a verifier, where the host takes one.
create role {role} login password {password}
