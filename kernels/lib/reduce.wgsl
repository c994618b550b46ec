// Sums and maxima over a workgroup, in a fixed order: the same inputs give the same bits.
// The kernel that includes this declares `override WORKGROUP` (a power of two).

var<workgroup> reduce_scratch: array<f32, WORKGROUP>;

// Sum of `value` over the workgroup's invocations; all of them must call it.
fn workgroup_sum(value: f32, local: u32) -> f32 {
  reduce_scratch[local] = value;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (local < half) {
      reduce_scratch[local] += reduce_scratch[local + half];
    }
    workgroupBarrier();
  }
  let sum = reduce_scratch[0];
  workgroupBarrier();
  return sum;
}

// Greatest `value` over the workgroup's invocations; all of them must call it.
fn workgroup_max(value: f32, local: u32) -> f32 {
  reduce_scratch[local] = value;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
    if (local < half) {
      reduce_scratch[local] = max(reduce_scratch[local], reduce_scratch[local + half]);
    }
    workgroupBarrier();
  }
  let greatest = reduce_scratch[0];
  workgroupBarrier();
  return greatest;
}
