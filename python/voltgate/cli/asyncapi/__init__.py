"""``voltgate asyncapi``: the interface on NATS in AsyncAPI, made of the tables that the code uses."""
