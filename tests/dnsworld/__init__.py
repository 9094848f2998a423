"""What tests of DNS share: fixture F, a loopback runtime, a responder to ask."""
