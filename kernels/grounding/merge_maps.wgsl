// merge maps: Bezier curves from P_comb (a) to P_mult (m) at s, elementwise (a m is the Hadamard product)
//   mixture   2 (1 - s) s (m + a + a m) / 2 + (1 - s)^2 a + s^2 m     (eq. 2, KIND 0)
//   linear    s m + (1 - s) a                                         (eq. 3, KIND 1)
//   quadratic 2 (1 - s) s (a m) + (1 - s)^2 a + s^2 m                 (eq. 4, KIND 2)
//
// comb, mult, map [P, N]; s [P]
// HALF: every result is rounded to half, as of float16 tensors; s and its polynomials stay f32.
// One invocation an element.
//! include lib/fold.wgsl
//! include lib/half.wgsl
override WORKGROUP: u32 = 64;
override KIND: u32 = 0;

struct Params {
  count: u32,
  pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> comb: array<f32>;
@group(0) @binding(2) var<storage, read> mult: array<f32>;
@group(0) @binding(3) var<storage, read> s: array<f32>;
@group(0) @binding(4) var<storage, read_write> map: array<f32>;

fn linear(a: f32, m: f32, s: f32) -> f32 {
  return rounded(rounded(s * m) + rounded((1.0 - s) * a));
}

fn bezier(control: f32, a: f32, m: f32, s: f32) -> f32 {
  let towards = rounded(rounded(2.0 * (1.0 - s) * s * control) + rounded((1.0 - s) * (1.0 - s) * a));
  return rounded(towards + rounded(s * s * m));
}

fn merged(a: f32, m: f32, s: f32) -> f32 {
  let hadamard = rounded(m * a);
  switch KIND {
    case 1u: { return linear(a, m, s); }
    case 2u: { return bezier(hadamard, a, m, s); }
    default: { return bezier(rounded(rounded(rounded(m + a) + hadamard) / 2.0), a, m, s); }
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_invocation(workgroup, workgroups, local, WORKGROUP);
  if (i < params.count) {
    map[i] = merged(comb[i], mult[i], s[i / params.pixels]);
  }
}
