-- Take part in a role, which makes it possible to give things to it. Parameters: {role}.
grant {role} to current_user
