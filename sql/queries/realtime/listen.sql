-- Be told of what other services publish.
listen cdc_realtime
