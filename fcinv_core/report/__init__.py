"""Reports for people: one HTML file each, readable without a network, good on screen and on paper."""
