"""The report: values in, one HTML file out, with pictures of what was found and measured."""
