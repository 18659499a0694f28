-- Have the server say whether our role can make the text of a row. Parts: cdc/store/parts.py. No row is read.
select {text} from {source} s limit 0
