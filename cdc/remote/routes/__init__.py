"""What Inngest's SDKs and their tests call, one module a subject. The service puts these routes into the web."""
