"""The drop-in contract: names, quantities, error values and one module per custom resource kind. Pure."""
