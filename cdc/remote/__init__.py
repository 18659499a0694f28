"""Apps elsewhere, written with Inngest's SDKs: who they are, and where they may be."""
