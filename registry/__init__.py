"""The replicated catalogue: records, state, commands, agent and server roles, HTTP."""
