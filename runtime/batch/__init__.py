"""Files of requests in OpenAI's batch format, answered by one engine or by many on Ray."""
