-- Let a role log in. Parameters: {role}.
alter role {role} login
