"""Our functions on an Inngest cluster, and row events sent on to it: for those who outgrow one Postgres."""
