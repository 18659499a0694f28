-- Some of them. Parts: {count}.
fetch forward {count} from chunk
