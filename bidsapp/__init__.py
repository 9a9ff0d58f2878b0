"""NociCast: a BIDS-App that forecasts the course of pain from MRI."""

__version__ = "0.1.0"
