-- Parameters: {publication}: drop it.
drop publication {publication}
