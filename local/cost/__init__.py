"""What a month costs: prices, what the template has, what the functions need, and the bill."""
