-- Publish generated columns that are stored; since 18. Parameters: {publication}.
alter publication {publication} set (publish_generated_columns = stored)
