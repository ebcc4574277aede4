"""The container in a batch job: a body of records to one answer for each."""
