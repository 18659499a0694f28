-- Under whose name rows of partitions come. Parameters: {publication}, {by_root}.
alter publication {publication} set (publish_via_partition_root = {by_root})
