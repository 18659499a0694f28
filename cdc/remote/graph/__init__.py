"""What was taken in and what became of it, as GraphQL: for SDKs' own tests, and for tools that speak it."""
