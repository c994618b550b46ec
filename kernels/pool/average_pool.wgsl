// average pool: y[b, oy, ox, c] = mean of the window (lib/pool_io.wgsl says which, and the bindings)
//
// Each invocation strides over the elements of y; sums in f32.
//! include lib/fold.wgsl
//! include lib/pool_io.wgsl
override WORKGROUP: u32 = 64;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let step = workgroup_count(workgroups) * WORKGROUP;
  for (var i = flat_invocation(workgroup, workgroups, local, WORKGROUP); i < params.count; i += step) {
    let window = window_of(i);
    var sum = 0.0;
    for (var row = window.first.x; row < window.end.x; row++) {
      for (var column = window.first.y; column < window.end.y; column++) {
        sum += load_input(window, row, column);
      }
    }
    let sides = window.end - window.first;
    y[i] = T(sum / f32(sides.x * sides.y));
  }
}
