"""The table of the relatives: means and spreads over seeds, controls in their columns, and only known names."""

from benchmarks import relatives
from benchmarks.relatives import Times, table


def metrics(psnr, **others):
  return {
    'lower_half_psnr': psnr,
    'viseme_error': 0.5,
    'viseme_error_target': 0.2,
    'viseme_error_oracle': 0.25,
    **others,
  }


def test_rows_are_means_with_spreads_and_controls_stand_in_the_columns_they_are_controls_of():
  scores = {'generator': [metrics(24.0), metrics(26.0)], 'reading': [metrics(25.0, avs_u=0.1), metrics(25.0)]}
  head, _, first, second, *controls = table(scores, [Times(80.0, 2.0), Times(120.0, 2.5)]).splitlines()
  columns = [cell.strip() for cell in head.split('|')]

  def cell(row, title):
    return row.split('|')[columns.index(title)].strip()

  assert cell(first, 'PSNR, dB ↑') == '25.000 ± 1.414' and cell(second, 'PSNR, dB ↑') == '25.000 ± 0.000'
  assert cell(second, 'AVS_u ↑') == ''  # not of every seed
  assert (cell(second, 'ms a step'), cell(second, 'ms a frame')) == ('120.0', '2.5')
  truth = controls[-1]
  assert cell(truth, 'viseme error ↓') == '0.200' and cell(truth, "viseme error, another's ↓") == '0.250'
  assert cell(controls[0], "viseme error, another's ↓") == ''


def test_every_relative_is_a_config_and_every_teacher_one_of_its_frozen_networks():
  from configs import quickstart

  for name in relatives.RELATIVES:
    config = quickstart.get_config(name)
    assert config.task == 'generator'
    if teacher := relatives.TEACHERS.get(name):
      assert teacher in config and quickstart.get_config(teacher).task == teacher
