// Closes a row of the cross entropy kernels, which declare `params`, `logits`, `targets`, `losses` and `lse`.

fn write_row(row: u32, greatest: f32, sum: f32) {
  let log_sum = greatest + log(sum);
  let target_column = targets[row];
  var loss = params.missing;
  if (target_column < params.columns) {
    loss = log_sum - f32(logits[row * params.columns + target_column]);
  }
  lse[row] = log_sum;
  losses[row] = select(loss, 0.0, target_column == params.ignored);
}
