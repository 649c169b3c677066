"""One test per rule of docs/ocpp.md A and per case of its E that a gateway decides, by OCPP version."""
