"""What a function is: event, function, triggers, options, context, step. No I/O here."""
