-- Give a publication to a role, which can then take tables out of it. Parameters: {publication}, {role}.
alter publication {publication} owner to {role}
