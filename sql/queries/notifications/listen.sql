-- Be told of what other services notify.
listen cdc
