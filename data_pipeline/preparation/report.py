def write_report(output, summaries, rejected):
  pass
