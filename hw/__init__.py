"""The streaming X-volution unit in Amaranth, and its Verilog."""
