// min-max normalise: y[p, i] = (x[p, i] - min_p) / (max_p - min_p); a constant map gives zeros
//
// x, y [P, N]
// HALF: x and every result are rounded to half, as of a float16 tensor.
// One workgroup a map: its least and greatest value first. Workgroup memory 8 * WORKGROUP bytes.
//! include lib/fold.wgsl
//! include lib/half.wgsl
override WORKGROUP: u32 = 256;

struct Params {
  maps: u32,
  pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> ends: array<vec2<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let map = flat_workgroup(workgroup, workgroups);
  if (map >= params.maps) {
    return;
  }
  let base = map * params.pixels;
  var least = x[base];
  var greatest = least;
  for (var i = local; i < params.pixels; i += WORKGROUP) {
    least = min(least, x[base + i]);
    greatest = max(greatest, x[base + i]);
  }
  ends[local] = vec2(least, greatest);
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (local < half) {
      let other = ends[local + half];
      ends[local] = vec2(min(ends[local].x, other.x), max(ends[local].y, other.y));
    }
    workgroupBarrier();
  }
  let low = rounded(ends[0].x);
  let high = rounded(ends[0].y);
  let range = rounded(high - low);
  for (var i = local; i < params.pixels; i += WORKGROUP) {
    let value = rounded(x[base + i]);
    var normalised = 0.0;
    if (range > 0.0) {
      // Division may be off by an ulp: the greatest value becomes 1 and no less, or quantising would make 254 of it.
      normalised = select(rounded(rounded(value - low) / range), 1.0, value == high);
    }
    y[base + i] = normalised;
  }
}
