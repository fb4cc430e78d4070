"""From single files to one program: names, imports, values, origins of objects, and who calls whom."""
